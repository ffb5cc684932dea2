// The controls of the page. Everything is computed here, from the numbers in the element `data`.

import { Network, addNoise, lerp, mse, nearest, slerp, unpack } from "./network.js";
import { prepare } from "./digit.js";

const PIXELS = 784;
const ARROWS = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] };
const element = (id) => document.getElementById(id);

/** Paint an image (784) in [0, 1]; without one, clear the canvas. */
function paint(canvas, pixels) {
  const context = canvas.getContext("2d");
  const shown = context.createImageData(28, 28);
  for (let i = 0; i < PIXELS; i++) {
    shown.data.fill(pixels ? Math.round(pixels[i] * 255) : 0, 4 * i, 4 * i + 3);
    shown.data[4 * i + 3] = 255;
  }
  context.putImageData(shown, 0, 0);
}

const decibels = (error) =>
  `MSE ${error.toFixed(4)}, PSNR ${(-10 * Math.log10(error)).toFixed(2).replace("Infinity", "inf")} dB`;
const isolated = (text) => `\u2068${text}\u2069`; // foreign text of any direction
const describe = ([name, label]) => (label ? `${name}, class ${isolated(label)}` : name);

/** Return row `index` of images stored as bytes; the value of a select element will do. */
function image(bytes, index) {
  const start = Number(index) * PIXELS;
  return Float32Array.from(bytes.subarray(start, start + PIXELS), (value) => value / 255);
}

/** Return the place of a pointer in an element, in units of which its sides have `size`. */
function placeIn(node, size, event) {
  const box = node.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * size, ((event.clientY - box.top) / box.height) * size];
}

function fill(select, names, indices = names.keys()) {
  for (const index of indices) {
    const [name, label] = names[index];
    select.add(new Option(label ? `${isolated(label)} (${name})` : name, index));
  }
}

/** The sliders of the units. Return a function that sets the code, the image to compare it with, and the names of both. */
function startUnits({ data, arrays, network }) {
  const [start, decoded, status] = ["units-start", "units-decoded", "units-status"].map(element);
  let [code, original, source, compared] = [];
  const sliders = data.units.map((unit) => {
    const row = element("unit-row").content.cloneNode(true);
    const [label, input, output] = ["label", "input", "output"].map((name) => row.querySelector(name));
    const [low, high] = data.ranges[unit];
    [label.htmlFor, input.id, label.textContent] = [`unit-${unit}`, `unit-${unit}`, `Unit ${unit}`];
    Object.assign(input, { min: low, max: high, step: "any" });
    const show = () => {
      output.textContent = code[unit] < 100 ? code[unit].toPrecision(3) : code[unit].toFixed(1);
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => {
      code[unit] = input.valueAsNumber;
      show();
      draw(", changed");
    });
    element("units-list").append(row);
    return { set: () => [(input.value = code[unit]), show()] };
  });
  const draw = (change) => {
    const pixels = network.decode(code);
    paint(decoded, pixels);
    status.ariaLive = change ? "off" : "polite"; // while a slider moves, its own value is announced
    status.textContent = `The code of ${source}${change}. Compared with ${compared}: ${decibels(mse(original, pixels))}.`;
  };
  const setCode = (...values) => {
    [code, original, source, compared] = values;
    paint(element("units-original"), original);
    sliders.forEach((slider) => slider.set());
    draw("");
  };
  const choose = () => {
    const chosen = image(arrays.starts, start.value);
    const name = data.names.starts[start.value];
    setCode(network.encode(chosen), chosen, describe(name), name[0]);
  };
  fill(start, data.names.starts);
  start.addEventListener("change", choose);
  element("units-reset").addEventListener("click", choose);
  choose();
  return setCode;
}

/** Two images, and a slider between their codes. */
function startBetween({ data, arrays, network }) {
  const [from, to, slider, play] = ["between-from", "between-to", "between-t", "between-play"].map(element);
  [from, to].forEach((select) => fill(select, data.names.starts));
  to.value = data.names.starts.length - 1;
  let timer = 0;
  const draw = () => {
    const ends = [from, to].map((select) => image(arrays.starts, select.value));
    const path = element("between-slerp").checked ? slerp : lerp;
    const t = slider.valueAsNumber / 100;
    paint(element("between-first"), ends[0]);
    paint(element("between-last"), ends[1]);
    paint(element("between-frame"), network.decode(path(...ends.map((end) => network.encode(end)), t)));
    slider.setAttribute("aria-valuetext", `${slider.value} percent of the way`);
  };
  const stop = () => {
    timer = clearInterval(timer);
    play.textContent = "Play";
  };
  play.addEventListener("click", () => {
    if (timer) return stop();
    let step = slider.valueAsNumber;
    play.textContent = "Pause";
    timer = setInterval(() => {
      step = (step + 2) % 200; // forwards, then backwards
      slider.value = step <= 100 ? step : 200 - step;
      draw();
    }, 40);
    return undefined;
  });
  slider.addEventListener("input", () => (stop(), draw()));
  for (const id of ["between-from", "between-to", "between-lerp", "between-slerp"])
    element(id).addEventListener("change", draw);
  draw();
}

/** The field to draw in. */
function startDraw({ data, arrays, network }, setCode) {
  const field = element("draw-field");
  const context = field.getContext("2d", { willReadFrequently: true });
  const size = field.width;
  const pen = (size * 8) / 70; // never thinner than the strokes of MNIST, so that none has to be thickened
  const margin = pen / 2 + 3; // no stroke touches the edge: in a photo such ink would not belong to the digit
  const strokes = [];
  let stroke = null; // the last one, while it is drawn with the keyboard
  let tip = [size / 2, size / 2];
  let code = null;
  let prepared = null;
  Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: pen, strokeStyle: "#fff" });

  const inside = (point) => point.map((value) => Math.min(Math.max(value, margin), size - margin));
  const place = (event) => inside(placeIn(field, size, event));
  const redraw = () => {
    context.fillRect(0, 0, size, size);
    for (const points of strokes) {
      context.beginPath();
      context.moveTo(...points[0]);
      points.forEach((point) => context.lineTo(...point));
      context.stroke();
    }
  };
  const update = () => {
    redraw();
    const rgba = context.getImageData(0, 0, size, size).data;
    prepared = prepare(
      Float32Array.from({ length: size * size }, (_, i) => rgba[4 * i] / 255),
      size,
    );
    code = prepared && network.encode(prepared);
    const decoded = code && network.decode(code);
    paint(element("draw-prepared"), prepared);
    paint(element("draw-decoded"), decoded);
    const near = code ? nearest(arrays.neighbourCodes, code.length, code, 8) : [];
    element("draw-near").replaceChildren(...near.map(([row]) => neighbour(row)));
    const classes = near
      .map(([row]) => data.names.near[row][1])
      .filter(Boolean)
      .map(isolated)
      .join(", ");
    element("draw-status").textContent = code
      ? `${decibels(mse(prepared, decoded))}.${classes && ` Classes of the nearest training images: ${classes}.`}`
      : strokes.length
        ? "The drawing is too small."
        : "Nothing is drawn yet.";
    element("draw-use").disabled = !code;
  };
  const neighbour = (row) => {
    const item = element("digit-item").content.cloneNode(true);
    const canvas = item.querySelector("canvas");
    canvas.setAttribute("aria-label", describe(data.names.near[row]));
    item.querySelector("span").textContent = data.names.near[row][1] || data.names.near[row][0];
    paint(canvas, image(arrays.neighbours, row));
    return item;
  };
  field.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return; // another finger, or another button of the mouse
    field.setPointerCapture(event.pointerId);
    strokes.push([place(event)]);
    redraw();
  });
  field.addEventListener("pointermove", (event) => {
    if (!event.isPrimary || !field.hasPointerCapture(event.pointerId)) return;
    strokes.at(-1).push(...event.getCoalescedEvents().map(place), place(event));
    redraw();
  });
  for (const type of ["pointerup", "pointercancel"]) field.addEventListener(type, update);
  field.addEventListener("keydown", (event) => {
    if (event.key !== " " && !(event.key in ARROWS)) return;
    event.preventDefault();
    if (event.key === " ") {
      if (event.repeat) return;
      stroke = stroke ? null : [tip];
      if (stroke) strokes.push(stroke);
    } else {
      tip = inside(tip.map((value, axis) => value + ARROWS[event.key][axis]));
      if (stroke) stroke.push(tip);
    }
    update();
    context.fillStyle = stroke ? "#f00" : "#888"; // the tip of the pen, until the next change
    context.fillRect(tip[0] - 4, tip[1] - 4, 8, 8);
    context.fillStyle = "#000";
  });
  field.addEventListener("blur", () => ((stroke = null), update()));
  element("draw-undo").addEventListener("click", () => (strokes.pop(), update()));
  element("draw-clear").addEventListener("click", () => (strokes.splice(0), update()));
  element("draw-use").addEventListener("click", () => {
    setCode(Float32Array.from(code), prepared, "the drawing", "the drawing");
    element("units").scrollIntoView();
  });
  update();
}

/** Noise, and what two networks make of it. */
function startNoise({ data, arrays, network }) {
  const [start, kind, level] = ["noise-start", "noise-kind", "noise-level"].map(element);
  const indices = [...data.names.starts.keys()].filter((index) => index % data.every === 0);
  fill(start, data.names.starts, indices);
  data.noises.forEach(([name], index) => kind.add(new Option(name, index)));
  const draw = () => {
    const [chosen, step] = [Number(start.value), level.valueAsNumber];
    const [name, levels] = data.noises[kind.value];
    const strength = levels[step];
    const clean = image(arrays.starts, chosen);
    const noisy = addNoise(clean, name, strength, arrays);
    const row = (kind.value * levels.length + step) * indices.length + chosen / data.every;
    const shown = { noisy, own: network.decode(network.encode(noisy)), denoise: image(arrays.denoised, row) };
    paint(element("noise-clean"), clean);
    for (const [id, pixels] of Object.entries(shown)) {
      paint(element(`noise-${id}`), pixels);
      element(`noise-${id}-error`).textContent = decibels(mse(clean, pixels));
    }
    element("noise-strength").textContent = strength;
    level.setAttribute("aria-valuetext", strength);
  };
  for (const control of [start, kind, level]) control.addEventListener("input", draw);
  draw();
}

/** The map: the nearest digit of a place, and the code there. */
function startMap({ data, arrays, network }, setCode) {
  const [map, cursor, ring, status] = ["map-points", "map-cursor", "map-ring", "map-status"].map(element);
  const width = data.ranges.length;
  const size = map.viewBox.baseVal.width;
  let place = [size / 2, size / 2];
  const codeAt = (near) => {
    if (data.extent) {
      const [x, y, stepX, stepY, margin] = data.extent;
      const found = [x + (place[0] - margin) * stepX, y + (size - margin - place[1]) * stepY];
      return Float32Array.from(found, (value) => Math.max(value, 0)); // no code is negative
    }
    const code = new Float32Array(width);
    const weights = near.map(([, distance]) => 1 / (distance + 1e-3));
    const total = weights.reduce((sum, weight) => sum + weight);
    near.forEach(([row], k) => {
      for (let i = 0; i < width; i++) code[i] += (weights[k] / total) * arrays.pointCodes[row * width + i];
    });
    return code;
  };
  const show = (next, decode) => {
    place = next.map((value) => Math.min(Math.max(value, 0), size));
    const near = nearest(arrays.places, 2, place, 4);
    const [row] = near[0];
    cursor.setAttribute("transform", `translate(${place})`);
    ring.setAttribute("transform", `translate(${arrays.places.subarray(2 * row, 2 * row + 2)})`);
    const digit = image(arrays.points, row);
    paint(element("map-digit"), digit);
    status.textContent = `Nearest image: ${describe(data.names.points[row])}.`;
    if (!decode) return;
    const code = codeAt(near);
    paint(element("map-decoded"), network.decode(code));
    decode(code, digit, "a place in the map", `the nearest image, ${data.names.points[row][0]}`);
  };
  for (const type of ["pointermove", "pointerdown"])
    map.addEventListener(type, (event) => show(placeIn(map, size, event), event.buttons === 1 && setCode));
  map.addEventListener("keydown", (event) => {
    const isChosen = ["Enter", " "].includes(event.key);
    if (!isChosen && !(event.key in ARROWS)) return;
    event.preventDefault();
    const step = ARROWS[event.key] ?? [0, 0];
    show([place[0] + step[0], place[1] + step[1]], isChosen && setCode);
  });
  show(place, () => {});
}

async function main() {
  const data = JSON.parse(element("data").textContent);
  const names = Object.keys(data.arrays);
  const unpacked = await Promise.all(names.map((name) => unpack(data.arrays[name])));
  const arrays = Object.fromEntries(names.map((name, k) => [name, unpacked[k]]));
  const page = { data, arrays, network: new Network(arrays) };
  document.documentElement.classList.add("is-live"); // shows the controls
  const setCode = startUnits(page);
  startBetween(page);
  startDraw(page, setCode);
  startNoise(page);
  startMap(page, setCode);
  document.documentElement.dataset.ready = Math.round(performance.now());
}

main();
