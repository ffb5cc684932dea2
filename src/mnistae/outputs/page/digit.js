// A drawn digit made like those of MNIST, as data/images/normalise.py does it: 20x20 box, centre of mass, 28x28.

const SIDE = 28;
const BOX = 20;
const CENTRE = 14;

const SMALLEST = 3 * BOX; // smaller digits are enlarged by their outline there, which is not done here
const EDGE = 0.2; // of full ink: the shades at the edge of a stroke

/** Return the image (784) of white strokes on black, `size` pixels wide and high, in [0, 1]; null if they are too small. */
export function prepare(pixels, size) {
  const ink = pixels.map((value) => Math.min(Math.max((value - EDGE) / (1 - 2 * EDGE), 0), 1));
  const box = bounds(ink, size, 0.1);
  return box && Math.max(box.height, box.width) >= SMALLEST ? centred(scaled(ink, size, box)) : null;
}

/** Return the box around the pixels above `level`. */
function bounds(pixels, size, level) {
  let [top, left, bottom, right] = [size, size, -1, -1];
  pixels.forEach((value, i) => {
    if (value <= level) return;
    const [y, x] = [Math.floor(i / size), i % size];
    [top, bottom, left, right] = [Math.min(top, y), Math.max(bottom, y), Math.min(left, x), Math.max(right, x)];
  });
  return bottom < 0 ? null : { top, left, height: bottom - top + 1, width: right - left + 1 };
}

/** Scale the ink in a box so that its longer side is 20 pixels and its darkest ink 1. */
function scaled(ink, size, box) {
  const scale = Math.max(box.height, box.width) / BOX;
  const [height, width] = [box.height, box.width].map((side) => Math.max(1, Math.ceil(side / scale - 0.25)));
  const [rows, columns] = [areaWeights(box.height, height, scale), areaWeights(box.width, width, scale)];
  const values = new Float32Array(height * width);
  rows.forEach((weights, y) => {
    const line = new Float32Array(box.width); // a row of the result, not yet narrowed
    for (const [i, weight] of weights) {
      const start = (box.top + i) * size + box.left;
      for (let x = 0; x < box.width; x++) line[x] += weight * ink[start + x];
    }
    columns.forEach((own, x) => {
      values[y * width + x] = own.reduce((sum, [i, weight]) => sum + weight * line[i], 0);
    });
  });
  const darkest = percentile(
    values.filter((value) => value > 0),
    0.95,
  );
  return { height, width, values: values.map((value) => Math.min(value / darkest, 1)) };
}

/** Return, for each output pixel, the input pixels that it covers and their shares: [[index, weight], ...]. */
function areaWeights(size, wanted, scale) {
  const span = Math.max(scale, 1);
  return Array.from({ length: wanted }, (_, k) => {
    const start = (k + 0.5) * scale - span / 2;
    const covered = [];
    for (let i = Math.max(Math.floor(start), 0); i < Math.min(start + span, size); i++) {
      const overlap = Math.min(start + span, i + 1) - Math.max(start, i);
      if (overlap > 0) covered.push([i, overlap / span]);
    }
    return covered;
  });
}

function percentile(values, share) {
  const sorted = values.sort();
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  return sorted[low] + (place - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
}

/** Paste a digit into 28x28 at whole pixels, its centre of mass at the centre. */
function centred({ height, width, values }) {
  let [total, y, x] = [0, 0, 0];
  values.forEach((value, i) => {
    total += value;
    y += value * Math.floor(i / width);
    x += value * (i % width);
  });
  const place = (mass, side) => Math.min(Math.max(Math.round(CENTRE - mass / total), 0), SIDE - side);
  const [top, left] = [place(y, height), place(x, width)];
  const image = new Float32Array(SIDE * SIDE);
  values.forEach((value, i) => {
    image[(top + Math.floor(i / width)) * SIDE + left + (i % width)] = value;
  });
  return image;
}
