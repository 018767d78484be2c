"use strict";
// Everything works on what the page holds; nothing is loaded.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Charts: read out the values under the pointer.
  for (const chart of all(".chart")) {
    const data = JSON.parse(chart.querySelector("script").textContent);
    const svg = chart.querySelector("svg");
    const cursor = svg.querySelector(".cursor");
    const readout = chart.querySelector(".readout");
    const show = (event) => {
      const box = svg.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      const parts = [];
      let where = null;
      for (const series of data.series) {
        let best = 0;
        series.px.forEach((x, i) => { if (Math.abs(x - at) < Math.abs(series.px[best] - at)) best = i; });
        if (where === null) where = { px: series.px[best], x: series.x[best] };
        parts.push(`${series.name} ${series.y[best]}`);
      }
      cursor.setAttribute("visibility", "visible");
      cursor.setAttribute("x1", where.px);
      cursor.setAttribute("x2", where.px);
      readout.textContent = `${data.x} ${where.x}: ${parts.join(", ")}`;
    };
    svg.addEventListener("pointermove", show);
    svg.addEventListener("pointerdown", show);
    svg.addEventListener("pointerleave", () => {
      cursor.setAttribute("visibility", "hidden");
      readout.textContent = "";
    });
  }

  // Error per point: a point and its bar light up together.
  const points = document.querySelector(".points");
  if (points) {
    const light = (event) => {
      const target = event.target.closest("[data-point]");
      if (!target) return;
      for (const node of all("[data-point]", points)) {
        node.classList.toggle("on", node.dataset.point === target.dataset.point);
      }
      const circle = points.querySelector(`circle[data-point="${target.dataset.point}"]`);
      if (circle) points.querySelector(".readout").textContent = circle.dataset.label;
    };
    points.addEventListener("pointerover", light);
    points.addEventListener("click", light);
  }

  // Pictures: show and hide layers, enlarge.
  for (const box of all("[data-layer]")) {
    const apply = () => document.body.classList.toggle(`hide-${box.dataset.layer}`, !box.checked);
    box.addEventListener("change", apply);
    apply(); // a reloaded page keeps its ticks
  }
  const dialog = document.querySelector("dialog");
  for (const button of all(".zoom")) {
    button.addEventListener("click", () => {
      const figure = button.closest("figure");
      dialog.firstElementChild.replaceChildren(
        button.querySelector("svg").cloneNode(true), figure.querySelector("figcaption").cloneNode(true));
      dialog.showModal();
    });
  }
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.tagName === "BUTTON") dialog.close();
  });

  // The command: copy, also where a page from disk may not use the clipboard.
  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  // Folded parts: decode pictures only when they are opened.
  const draw = (figure, point) => {
    const { sheet } = figure;
    const [columns, count, width, height] = ["columns", "count", "width", "height"].map((k) => +figure.dataset[k]);
    const canvas = figure.querySelector("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const out = context.createImageData(width, height);
    const shown = point < 0 ? [...Array(count).keys()] : [point];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let value = 0;
        for (const k of shown) {
          const sx = (k % columns) * width + x;
          const sy = Math.floor(k / columns) * height + y;
          value = Math.max(value, sheet.data[4 * (sy * sheet.width + sx)]);
        }
        out.data.set([255, 150 + value * 0.35, 40, (value * value) / 255], 4 * (y * width + x));
      }
    }
    context.putImageData(out, 0, 0);
  };
  const load = (figure, point) => {
    const sprite = new Image();
    sprite.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = sprite.width;
      canvas.height = sprite.height;
      const context = canvas.getContext("2d");
      context.drawImage(sprite, 0, 0);
      figure.sheet = context.getImageData(0, 0, sprite.width, sprite.height);
      draw(figure, point());
    };
    sprite.src = figure.dataset.sprite;
  };
  for (const details of all("#inside details")) {
    details.addEventListener("toggle", () => {
      if (!details.open) return;
      for (const image of all("img[data-src]", details)) {
        image.src = image.dataset.src;
        image.removeAttribute("data-src");
      }
      const select = details.querySelector(".which-map");
      if (!select || select.dataset.ready) return;
      select.dataset.ready = "yes";
      const figures = all(".heat", details);
      for (const figure of figures) load(figure, () => +select.value);
      select.addEventListener("change", () => {
        for (const figure of figures) if (figure.sheet) draw(figure, +select.value);
      });
    });
  }
})();
