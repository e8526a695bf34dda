// Pictures and what each word of their captions looked at: {unit, samples: [{name, picture, size,
// references, words, grid: [rows, columns], looks: [[weight / unit, ...], ...]}]}. A place is as
// bright as its weight is to the word's largest.
views.pictures = (element, data) => {
  const chosen = {sample: 0, word: 0};
  const root = make("div", {class: "pictures card"});
  element.append(root);
  const text = (tag, attributes, words) => make(tag, {dir: "auto", ...attributes}, words);
  let repaint = [];
  recolour.push(() => repaint.forEach((paint) => paint()));

  // The picture, darkened, and lit where the word looked.
  function paint(canvas, picture, sample, word) {
    const [rows, columns] = sample.grid, looks = sample.looks[word];
    const top = Math.max(...looks, 1e-9);
    const mask = make("canvas", {width: columns, height: rows}), light = mask.getContext("2d");
    looks.forEach((w, i) => {
      light.globalAlpha = Math.max(0, w / top);
      light.fillRect(i % columns, Math.floor(i / columns), 1, 1);
    });
    const lit = make("canvas", {width: canvas.width, height: canvas.height}), inner = lit.getContext("2d");
    inner.imageSmoothingQuality = "high";
    inner.drawImage(mask, 0, 0, lit.width, lit.height);
    inner.globalCompositeOperation = "source-in";
    inner.drawImage(picture, 0, 0, lit.width, lit.height);
    inner.globalAlpha = 0.3;
    inner.globalCompositeOperation = "source-atop";
    inner.fillStyle = "#ffb347";
    inner.fillRect(0, 0, lit.width, lit.height);
    const brush = canvas.getContext("2d");
    brush.globalAlpha = 1;
    brush.fillStyle = "#000";
    brush.fillRect(0, 0, canvas.width, canvas.height);
    brush.globalAlpha = 0.28;
    brush.drawImage(picture, 0, 0, canvas.width, canvas.height);
    brush.globalAlpha = 1;
    brush.drawImage(lit, 0, 0);
    if (canvas.width < 200) return;
    const peak = looks.indexOf(Math.max(...looks));
    const high = canvas.height / rows, wide = canvas.width / columns;
    brush.strokeStyle = "#ffb347";
    brush.lineWidth = 2;
    brush.strokeRect((peak % columns) * wide + 1, Math.floor(peak / columns) * high + 1, wide - 2, high - 2);
  }

  function show() {
    const sample = data.samples[chosen.sample];
    chosen.word = Math.min(chosen.word, Math.max(0, sample.words.length - 1));
    const picker = make("select", {"aria-label": "picture", onchange: (event) => {
      chosen.sample = event.target.selectedIndex;
      chosen.word = 0;
      show();
    }}, ...data.samples.map((each, i) => make("option", {}, `${i + 1}. ${each.words.join(" ")}`)));
    picker.selectedIndex = chosen.sample;
    const [height, width] = sample.size, scale = 384 / Math.max(height, width);
    const canvas = make("canvas", {class: "large", width: Math.round(width * scale),
                                   height: Math.round(height * scale), role: "img"});
    const references = make("ul", {class: "references"},
                            ...sample.references.map((words) => text("li", {}, words)));
    const words = make("div", {class: "words", role: "group", "aria-label": "word", onkeydown: (event) => {
      const move = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (move) pick((chosen.word + move + sample.words.length) % sample.words.length, true);
    }});
    const summary = make("p", {class: "summary"});
    const picture = new Image();
    const small = 72 / Math.max(height, width);
    const buttons = sample.words.map((word, i) => make("button", {
      type: "button", "data-word": i, onclick: () => pick(i, true), onpointerenter: () => pick(i, false)},
      make("canvas", {width: Math.round(width * small), height: Math.round(height * small)}),
      text("span", {}, word)));
    words.append(...buttons);

    function pick(word, focus) {
      chosen.word = word;
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === word));
      if (focus) buttons[word].focus();
      paint(canvas, picture, sample, word);
      const looks = sample.looks[word], peak = looks.indexOf(Math.max(...looks));
      const [, columns] = sample.grid;
      let bits = 0;
      looks.forEach((w) => bits -= w > 0 ? w * data.unit * Math.log2(w * data.unit) : 0);
      canvas.setAttribute("aria-label", `${sample.words[word]}: ${sample.name}`);
      summary.replaceChildren(
        `“${sample.words[word]}” looks most at row ${Math.floor(peak / columns) + 1}, column ` +
        `${peak % columns + 1} of ${sample.grid.join(" × ")}: ${(looks[peak] * data.unit).toFixed(3)} · ` +
        `${bits.toFixed(2)} bits`);
    }
    canvas.addEventListener("pointermove", (event) => {
      const [rows, columns] = sample.grid, box = canvas.getBoundingClientRect();
      const row = Math.min(rows - 1, Math.floor((event.clientY - box.y) / box.height * rows));
      const column = Math.min(columns - 1, Math.floor((event.clientX - box.x) / box.width * columns));
      const weight = sample.looks[chosen.word]?.[Math.max(0, row) * columns + Math.max(0, column)];
      if (weight === undefined) return;
      tooltip.show(event, `${sample.words[chosen.word]} → row ${row + 1}, column ${column + 1} `,
                   make("b", {}, (weight * data.unit).toFixed(4)));
    });
    canvas.addEventListener("pointerleave", tooltip.hide);

    root.replaceChildren(make("div", {class: "bar"}, picker), make("div", {class: "sides"}, canvas,
      make("div", {class: "texts"}, words, summary, make("h3", {}, "people say"), references)));
    picture.addEventListener("load", () => {
      repaint = buttons.map((button, i) => () => paint(button.querySelector("canvas"), picture, sample, i));
      repaint.forEach((draw_small) => draw_small());
      if (buttons.length) pick(chosen.word, false);
      else canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      canvas.dataset.ready = "1";
    });
    picture.src = sample.picture;
  }

  show();
};
