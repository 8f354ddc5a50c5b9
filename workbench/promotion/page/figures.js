// Draws every figure of the page, in the reader's colour scheme where the figure has Plotly's default look.
(function () {
  const dark = window.matchMedia("screen and (prefers-color-scheme: dark)");
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
  function draw() {
    for (const { place, figure, template } of drawings) {
      const layout = Object.assign({}, figure.layout);
      if (dark.matches && isDefault(template)) layout.template = darkTemplate;
      const config = Object.assign({ responsive: true, displaylogo: false }, figure.config);
      delete config.plotlyServerURL;
      Plotly.react(place, figure.data || [], layout, config);
      if (figure.frames) Plotly.addFrames(place, figure.frames);
    }
  }
  draw();
  dark.addEventListener("change", draw);
})();
