// Attention maps of sample sentences, a head at a time: {unit, samples: [{source, reference,
// translation, maps: [{layer, rows, columns, heads: [[weight / unit, ...], ...]}]}]}. The rows look
// at the columns. The last entry of the head picker is the mean of all heads.
views.attention = (element, data) => {
  const chosen = {sample: 0, layer: 0, head: 0};
  const root = make("div", {class: "attention card"});
  element.append(root);
  const colours = [];  // redraw the thumbnails
  recolour.push(() => colours.forEach((redraw) => redraw()));

  const sample = () => data.samples[chosen.sample];
  const map = () => sample().maps[chosen.layer];

  function mean(heads) {
    return heads[0].map((_, i) => heads.reduce((sum, head) => sum + head[i], 0) / heads.length);
  }
  const weights_of = (m, head) => head < m.heads.length ? m.heads[head] : mean(m.heads);
  const name_of = (m, head) => head < m.heads.length ? `head ${head + 1}` : "mean";
  // The smallest of 1, 2, 5 times a power of ten (1 at most) that no weight exceeds.
  function full_scale(weights) {
    const top = Math.max(...weights) * data.unit;
    if (!(top > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(top));
    return Math.min(1, [1, 2, 5, 10].map((f) => f * power).find((s) => top <= s * 1.0001));
  }

  // The sentences may be written from right to left, whatever the page is.
  const text = (tag, words) => make(tag, {dir: "auto"}, words);

  function show() {
    const s = sample();
    chosen.layer = Math.min(chosen.layer, s.maps.length - 1);
    colours.length = 0;
    const picker = make("select", {"aria-label": "sentence", onchange: (event) => {
      chosen.sample = event.target.selectedIndex;
      show();
    }}, ...data.samples.map((each, i) => make("option", {}, `${i + 1}. ${each.source}`)));
    picker.selectedIndex = chosen.sample;
    const lines = [["source", s.source], ["reference", s.reference], ["translation", s.translation]];
    const sentences = make("dl", {class: "sentences"}, ...lines.filter(([, words]) => words)
      .flatMap(([name, words]) => [make("dt", {}, name), text("dd", words)]));
    root.replaceChildren(make("div", {class: "bar"}, picker), sentences);
    if (!s.maps.length) return;
    const m = map();
    chosen.head = Math.min(chosen.head, m.heads.length);
    const layers = make("div", {class: "layers", role: "group", "aria-label": "layer"}, ...s.maps.map((each, i) =>
      make("button", {type: "button", "aria-pressed": i === chosen.layer, onclick: () => {
        chosen.layer = i;
        show();
        root.querySelectorAll(".layers button")[i].focus();
      }}, each.layer)));
    const count = m.heads.length > 1 ? m.heads.length + 1 : 1;
    const pick = (head) => {
      chosen.head = (head + count) % count;
      show();
      root.querySelectorAll(".heads button")[chosen.head].focus();
    };
    const heads = make("div", {class: "heads", role: "group", "aria-label": "head", onkeydown: (event) => {
      const move = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (move) pick(chosen.head + move);
    }}, ...Array.from({length: count}, (_, head) => thumbnail(m, head, pick)));
    root.append(layers, heads, ...drawn(m));
  }

  function thumbnail(m, head, pick) {
    const weights = weights_of(m, head), full = full_scale(weights);
    const columns = m.columns.length, canvas = make("canvas", {width: columns, height: m.rows.length});
    const paint = () => {
      const brush = canvas.getContext("2d");
      brush.clearRect(0, 0, canvas.width, canvas.height);
      brush.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--heat");
      weights.forEach((w, i) => {
        brush.globalAlpha = Math.min(1, w * data.unit / full);
        brush.fillRect(i % columns, Math.floor(i / columns), 1, 1);
      });
    };
    paint();
    colours.push(paint);
    return make("button", {type: "button", "data-head": head, "aria-pressed": head === chosen.head,
                           onclick: () => pick(head)}, canvas, name_of(m, head));
  }

  // The map of the chosen head, and a line about it.
  function drawn(m) {
    const weights = weights_of(m, chosen.head), full = full_scale(weights);
    const rows = m.rows.length, columns = m.columns.length;
    const shortened = (word) => word.length > 22 ? word.slice(0, 21) + "…" : word;
    const row_labels = m.rows.map(shortened), column_labels = m.columns.map(shortened);
    const brush = document.createElement("canvas").getContext("2d");
    brush.font = "bold 13px " + getComputedStyle(document.body).fontFamily;
    const widest = (labels) => Math.ceil(Math.max(0, ...labels.map((l) => brush.measureText(l).width)));
    const left = widest(row_labels) + 10, slant = Math.ceil(widest(column_labels) * 0.72) + 8;
    const top = slant + 6, room = root.clientWidth - 34 - left - slant;
    const cell = Math.max(15, Math.min(32, Math.floor(room / Math.max(1, columns))));
    const width = left + cell * columns + slant, height = top + cell * rows + 2;
    const picture = draw("svg", {width, height, role: "img", "aria-label": `${m.layer}, ${name_of(m, chosen.head)}`});

    const columns_drawn = column_labels.map((label, c) => {
      const x = left + cell * (c + 0.5) + 4;
      return draw("text", {x, y: top - 6, transform: `rotate(-45 ${x} ${top - 6})`}, label);
    });
    const rows_drawn = row_labels.map((label, r) =>
      draw("text", {x: left - 7, y: top + cell * (r + 0.5) + 4.5, "text-anchor": "end"}, label));
    picture.append(...columns_drawn, ...rows_drawn);
    weights.forEach((w, i) => {
      const bad = w === null, weight = w * data.unit;
      picture.append(draw("rect", {
        class: bad ? "cell bad" : "cell", "data-row": Math.floor(i / columns), "data-column": i % columns,
        "data-weight": bad ? "NaN" : weight.toFixed(4), x: left + cell * (i % columns),
        y: top + cell * Math.floor(i / columns), width: cell, height: cell,
        "fill-opacity": bad ? 1 : Math.min(1, weight / full).toFixed(3)}));
    });
    const cross = [draw("rect", {class: "cross", x: left, width: cell * columns, height: cell, visibility: "hidden"}),
                   draw("rect", {class: "cross", y: top, width: cell, height: cell * rows, visibility: "hidden"})];
    picture.append(...cross, draw("rect", {class: "frame", x: left, y: top, width: cell * columns, height: cell * rows}));

    const leave = () => {
      picture.querySelectorAll(".lit").forEach((label) => label.classList.remove("lit"));
      cross.forEach((bar) => bar.setAttribute("visibility", "hidden"));
      tooltip.hide();
    };
    picture.addEventListener("pointermove", (event) => {
      leave();
      if (!event.target.classList.contains("cell")) return;
      const {row, column, weight} = event.target.dataset;
      rows_drawn[row].classList.add("lit");
      columns_drawn[column].classList.add("lit");
      cross[0].setAttribute("y", top + cell * row);
      cross[1].setAttribute("x", left + cell * column);
      cross.forEach((bar) => bar.setAttribute("visibility", "visible"));
      tooltip.show(event, `${m.rows[row]} → ${m.columns[column]} `, make("b", {}, weight));
    });
    picture.addEventListener("pointerleave", leave);

    return [make("div", {class: "map"}, picture), summary(m, weights, full)];
  }

  function summary(m, weights, full) {
    const columns = m.columns.length;
    let strongest = 0, entropy = 0;
    weights.forEach((w, i) => {
      if (w > weights[strongest]) strongest = i;
      if (w > 0) entropy -= w * data.unit * Math.log2(w * data.unit);
    });
    const link = weights.length ? ` · strongest: ${m.rows[Math.floor(strongest / columns)]} → ` +
      `${m.columns[strongest % columns]} ${(weights[strongest] * data.unit).toFixed(2)}` : "";
    return make("p", {class: "summary"}, "0", make("span", {class: "scale"}), readable(full),
                ` · rows look at columns · ${(entropy / Math.max(1, m.rows.length)).toFixed(2)} bits a row${link}`);
  }

  show();
};
