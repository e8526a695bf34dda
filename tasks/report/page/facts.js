// Figures that matter, as tiles: [{label, value}].
views.facts = (element, data) => {
  element.append(make("dl", {class: "facts"}, ...data.map((fact) =>
    make("div", {class: "card"}, make("dt", {}, fact.label), make("dd", {}, fact.value)))));
};

// What the program decided, and when: [{step, text}].
views.notes = (element, data) => {
  element.append(make("ul", {class: "notes card"}, ...data.map((note) =>
    make("li", {}, make("span", {class: "step"}, note.step.toLocaleString("en-US")),
         make("span", {class: "text"}, note.text)))));
};
