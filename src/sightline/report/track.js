"use strict";
// Filmstrips: the slider chooses the frame that is shown.
(() => {
  for (const film of document.querySelectorAll(".film")) {
    const shots = [...film.querySelectorAll(".shot")];
    const slider = film.querySelector("input");
    const said = film.querySelector("output");
    const show = () => {
      shots.forEach((shot, place) => shot.classList.toggle("on", place === +slider.value));
      said.textContent = shots[+slider.value].dataset.said;
      slider.setAttribute("aria-valuetext", said.textContent);
    };
    slider.addEventListener("input", show);
    show(); // a reloaded page keeps its sliders
  }
})();
