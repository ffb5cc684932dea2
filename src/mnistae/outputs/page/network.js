// The network and its arithmetic: what `mnistae encode`, `decode`, `interpolate` and `denoise` compute.

/** Return an array of the page's data: deflated bytes in base64, the four bytes of floats apart from each other. */
export async function unpack({ type, data }) {
  const deflated = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  if (type === "u1") return planes;
  const count = planes.length / 4;
  const floats = new DataView(new ArrayBuffer(planes.length));
  const bytes = new Uint8Array(floats.buffer);
  for (let plane = 0; plane < 4; plane++) {
    for (let i = 0; i < count; i++) bytes[4 * i + plane] = planes[plane * count + i];
  }
  return new Float32Array(floats.buffer);
}

const relu = (x) => Math.max(x, 0);
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** The encoder and the decoder over the eight arrays of a checkpoint. */
export class Network {
  constructor(weights) {
    this.weights = weights;
  }

  encode(image) {
    return this.layer("fc2", this.layer("fc1", image, relu), relu);
  }

  decode(code) {
    return this.layer("fc4", this.layer("fc3", code, relu), sigmoid);
  }

  layer(name, x, activation) {
    const weights = this.weights[`${name}.weight`];
    return this.weights[`${name}.bias`].map((bias, row) => {
      let sum = bias;
      for (let i = 0, at = row * x.length; i < x.length; i++, at++) sum += weights[at] * x[i];
      return activation(sum);
    });
  }
}

/** Return the point at `t` in [0, 1] on the straight line between two codes. */
export function lerp(a, b, t) {
  return a.map((value, i) => value * (1 - t) + b[i] * t);
}

/** Return the point at `t` on the arc between two codes; on the line if there is no unique arc. */
export function slerp(a, b, t) {
  const dot = (u, v) => u.reduce((sum, value, i) => sum + value * v[i], 0);
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  const angle = lengths ? Math.acos(Math.min(Math.max(dot(a, b) / lengths, -1), 1)) : 0;
  if (Math.sin(angle) < 1e-4) return lerp(a, b, t);
  const [from, to] = [Math.sin((1 - t) * angle), Math.sin(t * angle)].map((part) => part / Math.sin(angle));
  return a.map((value, i) => from * value + to * b[i]);
}

/** Return an image with noise: `fields` are the random numbers that `mnistae denoise` draws for one image with seed 0. */
export function addNoise(image, kind, level, fields) {
  const clip = (x) => Math.min(Math.max(x, 0), 1);
  const [share, half] = [Math.fround(level), Math.fround(level / 2)];
  const { uniform, gaussian } = fields;
  const noisy = {
    uniform: (x, i) => clip(x + level * (2 * uniform[i] - 1)),
    gaussian: (x, i) => clip(x + level * gaussian[i]),
    mask: (x, i) => (uniform[i] < share ? 0 : x),
    "salt-pepper": (x, i) => (uniform[i] < half ? 0 : uniform[i] < share ? 1 : x),
  };
  return image.map(noisy[kind]);
}

/** Return the mean squared error of two images. */
export function mse(a, b) {
  return a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length;
}

/** Return the rows of `points`, flat with `width` numbers each, in order of their distance from `place`, as [row, distance²]. */
export function nearest(points, width, place, count) {
  const found = [];
  for (let row = 0; row * width < points.length; row++) {
    let distance = 0;
    for (let i = 0; i < width; i++) distance += (points[row * width + i] - place[i]) ** 2;
    found.push([row, distance]);
  }
  return found.sort((a, b) => a[1] - b[1]).slice(0, count);
}
