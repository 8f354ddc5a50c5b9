// Draws the page's figures in the reader's colours, one after another so that the page stays responsive.
(function () {
  const dark = window.matchMedia("screen and (prefers-color-scheme: dark)");
  const touch = window.matchMedia("(pointer: coarse)").matches;
  const narrow = () => document.documentElement.clientWidth < 640;
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: touch ? false : "hover",
    // Listed explicitly: one of Plotly's default buttons sends the figure to a server.
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    plotlyServerURL: "",
  };
  const drawings = new Map();

  for (const chart of document.querySelectorAll(".chart")) {
    const figure = JSON.parse(chart.querySelector("script").textContent);
    drawings.set(chart, { figure, place: chart.querySelector(".plot"), scale: null, stale: true });
  }

  // Replaces every colour of the light palette in a figure by its dark counterpart.
  function recoloured(value) {
    if (typeof value === "string") return DARK_OF_LIGHT[value] || value;
    if (Array.isArray(value)) return value.map(recoloured);
    if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, recoloured(inner)]));
  }

  // Plotly modifies its input, so each drawing gets its own copy.
  function draw(chart) {
    const drawing = drawings.get(chart);
    if (!drawing.stale || chart.offsetParent === null) return;
    drawing.stale = false;
    const copy = structuredClone(drawing.figure);
    const data = dark.matches ? recoloured(copy.data) : copy.data;
    const layout = dark.matches ? recoloured(copy.layout) : copy.layout;
    // Not transparent as in the figure: Plotly needs the background colour for what it draws over lines.
    layout.paper_bgcolor = layout.plot_bgcolor = getComputedStyle(document.body).backgroundColor;
    if (drawing.scale) layout.yaxis.type = drawing.scale;
    if (drawing.scale === "linear") layout.yaxis.tickmode = "auto";
    if (touch) layout.dragmode = false; // a finger scrolls the page
    if (narrow()) {
      for (const name of Object.keys(layout)) {
        if (/^xaxis/.test(name)) layout[name].nticks = 5;
      }
      layout.margin.l = 46;
      layout.margin.r = 6;
    }
    Plotly.react(drawing.place, data, layout, config);
    if (drawing.listens) return;
    drawing.listens = true;
    // The ticks chosen for the whole range may all be outside the zoomed range.
    drawing.place.on("plotly_relayout", (change) => {
      if ("yaxis.range[0]" in change) Plotly.relayout(drawing.place, { "yaxis.tickmode": "auto" });
    });
  }

  function drawAll() {
    const waiting = Array.from(drawings.keys());
    (function next() {
      const chart = waiting.shift();
      if (!chart) return document.documentElement.setAttribute("data-drawn", "");
      draw(chart);
      setTimeout(next);
    })();
  }

  function redraw() {
    for (const drawing of drawings.values()) drawing.stale = true;
    for (const chart of drawings.keys()) draw(chart); // synchronously: printing does not wait
  }

  function press(buttons, pressed) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === pressed));
  }

  for (const group of document.querySelectorAll(".scales")) {
    const chart = group.closest(".chart");
    const buttons = Array.from(group.children);
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      press(buttons, button);
      drawings.get(chart).scale = button.dataset.scale;
      drawings.get(chart).stale = true;
      draw(chart);
    });
  }

  for (const choice of document.querySelectorAll(".choice")) {
    const group = choice.querySelector(":scope > .buttons");
    const buttons = Array.from(group.children);
    const options = Array.from(choice.querySelectorAll(":scope > .option"));
    const show = (chosen) => {
      press(buttons, buttons[chosen]);
      options.forEach((option, i) => (option.hidden = i !== chosen));
      options[chosen].querySelectorAll(".chart").forEach(draw);
    };
    group.hidden = false;
    choice.classList.add("live");
    show(0);
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) show(buttons.indexOf(button));
    });
  }

  drawAll();
  dark.addEventListener("change", redraw);
})();
