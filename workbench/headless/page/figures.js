// Draws every figure of the page, in the reader's colour scheme where the figure has Plotly's default look.
(function () {
  const dark = window.matchMedia("screen and (prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 600px)");
  const darkTemplate = DARK_TEMPLATE;
  darkTemplate.layout.paper_bgcolor = "rgba(0, 0, 0, 0)"; // the page's own
  const drawings = [];
  for (const holder of document.querySelectorAll(".run-figure")) {
    const figure = JSON.parse(holder.querySelector("script").textContent);
    const place = document.createElement("div");
    place.className = "figure";
    holder.appendChild(place);
    drawings.push({ place, figure, template: (figure.layout || {}).template });
  }
  function isDefault(template) {
    const look = (template && template.layout) || {};
    return look.paper_bgcolor === "white" && look.plot_bgcolor === "#E5ECF6";
  }
  // Breaks text between words, as Plotly's titles do not by themselves; tags have no width.
  function wrapped(text, width) {
    let line = 0;
    return String(text).replace(/<br\s*\/?>|<[^>]*>|[^<\s]+|\s+/gi, (part) => {
      if (/^<br/i.test(part)) line = 0;
      if (part[0] === "<") return part;
      if (line && !/^\s/.test(part) && line + part.length > width) {
        line = part.length;
        return "<br>" + part;
      }
      line += part.length;
      return part;
    });
  }
  function lines(text) {
    return text ? text.split(/<br\s*\/?>/i).length : 0;
  }
  // A wide figure's layout for a phone: the title in lines, the legend below instead of over it.
  function forPhone(layout, width) {
    const margin = Object.assign({ l: 80, r: 80, t: 100, b: 80 }, layout.margin);
    const title = Object.assign({}, typeof layout.title === "string" ? { text: layout.title } : layout.title);
    let above = 28;
    if (title.text) {
      const size = (title.font || {}).size || 17;
      title.text = wrapped(title.text, width / (size * 0.62));
      above += lines(title.text) * size * 1.35;
      if (title.subtitle && title.subtitle.text) {
        const small = (title.subtitle.font || {}).size || size * 0.7;
        const text = wrapped(title.subtitle.text, width / (small * 0.62));
        title.subtitle = Object.assign({}, title.subtitle, { text });
        above += lines(text) * small * 1.35 + 8;
      }
      Object.assign(title, { x: 0, xref: "container", xanchor: "left", y: 1, yref: "container" });
      Object.assign(title, { yanchor: "top", pad: { l: 8, t: 22 } });
    }
    const legend = Object.assign({}, layout.legend, { orientation: "h", x: 0, xanchor: "left" });
    Object.assign(legend, { y: -0.12, yanchor: "top", yref: "paper" });
    const height = (layout.height || 450) + Math.max(0, above - margin.t);
    const axes = {};
    for (const name of Object.keys(layout).filter((name) => /^yaxis\d*$/.test(name)))
      axes[name] = Object.assign({}, layout[name], { automargin: true });
    const sides = { l: Math.min(margin.l, 16), r: Math.min(margin.r, 12), t: Math.max(margin.t, above) };
    return Object.assign({}, layout, axes, { title, legend, height, margin: Object.assign(margin, sides) });
  }
  function draw() {
    for (const { place, figure, template } of drawings) {
      let layout = Object.assign({}, figure.layout);
      if (dark.matches && isDefault(template)) layout.template = darkTemplate;
      if (narrow.matches) layout = forPhone(layout, place.clientWidth);
      const config = Object.assign({ responsive: true, displaylogo: false }, figure.config);
      if (narrow.matches) config.displayModeBar = false;
      delete config.plotlyServerURL;
      Plotly.react(place, figure.data || [], layout, config);
      if (figure.frames) Plotly.addFrames(place, figure.frames);
    }
  }
  draw();
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
})();
