// Draws the charts of the trends page. Everything comes from this site; expressions are interpreted, never compiled, so that
// the content security policy needs no exception.
(() => {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 720px)");

  const look = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const font = getComputedStyle(document.body).fontFamily;
    return {
      background: "transparent",
      font,
      axis: {
        labelColor: colour("--soft"),
        titleColor: colour("--soft"),
        gridColor: colour("--line"),
        domainColor: colour("--line"),
        tickColor: colour("--line"),
        titleFontWeight: "normal",
        labelFontSize: 11,
        titleFontSize: 11,
      },
      axisX: { grid: false },
      legend: { labelColor: colour("--soft"), titleColor: colour("--soft"), labelFontSize: 11, symbolType: "square" },
      view: { stroke: null },
      line: { color: colour("--accent") },
      point: { color: colour("--accent") },
      area: { color: colour("--accent") },
    };
  };

  const draw = () => {
    for (const place of document.querySelectorAll("[data-chart]")) {
      const spec = JSON.parse(document.getElementById(`chart-${place.dataset.chart}`).textContent);
      if (spec.data.values.length === 0) continue;
      const legend = (spec.encoding ?? spec.layer[0].encoding)?.color?.legend;
      if (legend?.columns && narrow.matches) {
        legend.columns = 1;
        spec.height = 420;
      }
      vegaEmbed(place, spec, {
        actions: false,
        ast: true,
        config: look(),
        defaultStyle: false,
        mode: "vega-lite",
        renderer: "svg",
        tooltip: { disableDefaultStyle: true, theme: "custom" },
      }).catch((error) => {
        place.textContent = "This chart cannot be drawn; the table has its figures.";
        console.error(error);
      });
    }
  };

  dark.addEventListener("change", draw);
  draw();
})();
