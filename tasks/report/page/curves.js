// Curves over the steps of training: {x_label, panels: [{title, series: [{name, x, y}]}]}. All panels
// share the x axis, and the line under the pointer.
views.curves = (element, data) => {
  const width = 360, height = 190, left = 48, right = 10, top = 6, bottom = 24;
  const known = (series) => series.y.map((y, i) => [series.x[i], y]).filter(([, y]) => y !== null);
  const all_x = data.panels.flatMap((p) => p.series.flatMap((s) => known(s).map(([x]) => x)));
  const x_low = Math.min(...all_x, Infinity), x_high = Math.max(...all_x, -Infinity);
  const x_range = x_high > x_low ? [x_low, x_high] : [x_low - 1, x_low + 1];

  // About `count` round numbers in [low, high].
  function ticks(low, high, count) {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => raw <= s * 1.000001);
    const list = [];
    for (let i = Math.ceil(low / step - 1e-6); i <= high / step + 1e-6; ++i) list.push(i * step);
    return list;
  }
  function tick_text(value) {
    if (Math.abs(value) >= 10000) return Number((value / 1000).toPrecision(4)) + "k";
    if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(0);
    return String(Number(value.toPrecision(6)));
  }

  const cursors = [];
  const panels = data.panels.map((panel) => {
    const points = panel.series.map(known);
    const ys = points.flat().map(([, y]) => y);
    let low = Math.min(...ys, Infinity), high = Math.max(...ys, -Infinity);
    if (!(low <= high)) [low, high] = [0, 1];
    if (high - low <= 1e-12 * Math.abs(high)) [low, high] = [low - Math.abs(low || 1) / 2, high + Math.abs(high || 1) / 2];
    const room = 0.05 * (high - low);
    // Nothing below zero where nothing is negative.
    [low, high] = [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
    const px = (x) => left + (width - left - right) * (x - x_range[0]) / (x_range[1] - x_range[0]);
    const py = (y) => height - bottom - (height - top - bottom) * (y - low) / (high - low);

    const picture = draw("svg", {viewBox: `0 0 ${width} ${height}`, width: "100%", role: "img", "aria-label": panel.title});
    for (const y of ticks(low, high, 4)) {
      picture.append(draw("path", {class: "gridline", d: `M${left} ${py(y)}H${width - right}`}),
                     draw("text", {x: left - 6, y: py(y) + 4, "text-anchor": "end"}, tick_text(y)));
    }
    for (const x of ticks(...x_range, 5)) {
      const at_edge = px(x) > width - 20;  // where half of a number would be cut off
      picture.append(draw("text", {x: at_edge ? width : px(x), y: height - 6, "text-anchor": at_edge ? "end" : "middle"},
                          tick_text(x)));
    }
    points.forEach((line, i) => {
      const colour = `var(--s${i % 4})`;
      const d = line.map(([x, y], n) => `${n ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("");
      picture.append(draw("path", {class: "curve", d, style: `stroke:${colour}`}));
      // A few points are easily lost in a line.
      if (line.length <= 40) {
        for (const [x, y] of line) picture.append(draw("circle", {cx: px(x), cy: py(y), r: 2.4, style: `fill:${colour}`}));
      }
    });
    const cursor = draw("path", {class: "cursor", visibility: "hidden"});
    picture.append(cursor);

    const figures = panel.series.map((series, i) => make("b", {}, readable(points[i].length ? points[i].at(-1)[1] : null)));
    const legend = panel.series.map((series, i) => make("span", {class: "legend"},
      make("i", {style: `background:var(--s${i % 4})`}), series.name + " ", figures[i]));
    cursors.push((x) => {
      cursor.setAttribute("visibility", x === null ? "hidden" : "visible");
      if (x !== null) cursor.setAttribute("d", `M${px(x)} ${top}V${height - bottom}`);
      points.forEach((line, i) => {
        if (!line.length) return;
        let near = line.at(-1);
        if (x !== null) near = line.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a);
        figures[i].textContent = readable(near[1]);
      });
    });
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width * width - left) / (width - left - right);
      const x = x_range[0] + Math.min(1, Math.max(0, at)) * (x_range[1] - x_range[0]);
      cursors.forEach((move) => move(x));
      tooltip.show(event, make("b", {}, `${data.x_label} ${Math.round(x).toLocaleString("en-US")}`));
    });
    picture.addEventListener("pointerleave", () => {
      cursors.forEach((move) => move(null));
      tooltip.hide();
    });
    return make("div", {class: "card panel"},
                make("div", {class: "head"}, make("h3", {}, panel.title), ...legend), picture);
  });
  element.append(make("div", {class: "panels"}, ...panels));
};
