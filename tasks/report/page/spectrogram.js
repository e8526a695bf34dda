// Spectrograms of sample utterances, and where each token was heard: {steps, samples: [{reference,
// recognised, seconds, bands, values: [of steps, frame by frame], tokens, weights: [of steps, token
// by token], marks: [{token, seconds}]}]}. Rows and spectrogram share the time axis.
views.spectrogram = (element, data) => {
  let chosen = 0, token = -1;
  const root = make("div", {class: "spectrogram card"});
  element.append(root);
  let paint = () => {};
  recolour.push(() => paint());

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

  // Columns by rows of shares in [0, 1], each a rectangle of a canvas as large as that.
  function fill_canvas(canvas, share, name) {
    const brush = canvas.getContext("2d");
    brush.clearRect(0, 0, canvas.width, canvas.height);
    brush.fillStyle = colour(name);
    for (let x = 0; x < canvas.width; ++x) {
      for (let y = 0; y < canvas.height; ++y) {
        brush.globalAlpha = share(x, y);
        brush.fillRect(x, y, 1, 1);
      }
    }
  }

  function show() {
    const s = data.samples[chosen];
    token = -1;
    const frames = s.values.length / s.bands, columns = s.weights.length / s.tokens.length;
    const weight = (row, x) => s.weights[row * columns + x] / data.steps;
    const picker = make("select", {"aria-label": "utterance", onchange: (event) => {
      chosen = event.target.selectedIndex;
      show();
    }}, ...data.samples.map((each, i) => make("option", {}, `${i + 1}. ${each.reference}`)));
    picker.selectedIndex = chosen;
    const lines = [["reference", s.reference], ["recognised", s.recognised]].flatMap(([name, words]) =>
      [make("dt", {}, name), make("dd", {dir: "auto"}, words)]);

    // Low frequencies at the bottom.
    const sound = make("canvas", {class: "sound", width: frames, height: s.bands, role: "img",
                                  "aria-label": `spectrogram of ${s.seconds.toFixed(2)} seconds`});
    const light = make("canvas", {class: "light", width: columns, height: 1});
    const at = (seconds) => `left: ${(100 * seconds / s.seconds).toFixed(3)}%`;
    const marks = s.marks.map((mark) => make("span", {class: "mark", style: at(mark.seconds)}, mark.token));
    const picture = make("div", {class: "picture"}, sound, light, ...marks);
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      tooltip.show(event, make("b", {}, (share * s.seconds).toFixed(2)), " s");
    });
    picture.addEventListener("pointerleave", () => tooltip.hide());

    const strips = s.tokens.map(() => make("canvas", {width: columns, height: 1}));
    const point_at = (row) => {
      token = row;
      root.querySelectorAll("button").forEach((button, i) => button.classList.toggle("lit", i === row));
      paint();
    };
    const rows = s.tokens.flatMap((word, row) => {
      let peak = 0;
      for (let x = 1; x < columns; ++x) if (weight(row, x) > weight(row, peak)) peak = x;
      const where = (peak + 0.5) / columns * s.seconds;
      const over = {onpointerenter: () => point_at(row), onpointerleave: () => point_at(-1)};
      return [make("button", {type: "button", dir: "auto", "data-row": row, "data-seconds": where.toFixed(3),
                              "aria-label": `${word}, heard at ${where.toFixed(2)} seconds`, ...over,
                              onfocus: () => point_at(row), onblur: () => point_at(-1)}, word),
              make("div", {class: "strip", ...over}, strips[row])];
    });
    const ticks = [];
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300].find((each) => s.seconds / each <= 10) || 600;
    for (let t = 0; t <= s.seconds; t += step) {
      ticks.push(make("span", {style: at(t)}, `${Number(t.toFixed(1))}`));
    }
    root.replaceChildren(
      make("div", {class: "bar"}, picker), make("dl", {class: "sentences"}, ...lines),
      make("div", {class: "grid"}, make("span", {class: "name"}, "CTC"), picture, ...rows,
           make("span", {class: "name"}, "seconds"), make("div", {class: "ticks"}, ...ticks)));

    paint = () => {
      fill_canvas(sound, (x, y) => s.values[x * s.bands + s.bands - 1 - y] / data.steps, "--ink");
      fill_canvas(light, (x) => token < 0 ? 0 : 0.75 * weight(token, x), "--accent");
      strips.forEach((strip, row) => fill_canvas(strip, (x) => weight(row, x), "--heat"));
    };
    paint();
  }

  show();
};
