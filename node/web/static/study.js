// The study page: its viewers, and what leads from the lesions to them.

const found = document.querySelector("[data-module]");
const { Viewer } = found ? await import(found.dataset.module) : {};

const WRITTEN = "textarea, select, input:not([type=checkbox], [type=range], [type=radio])";
const CONTROLS = "input, button, a, summary";

/** Whether the control that has the focus wants a key itself. */
function isTaken(event) {
  const active = document.activeElement;
  if (active.matches(WRITTEN)) return true;
  return event.key.length > 1 && active.matches(CONTROLS); // arrows, Home, Page Down ...
}

const viewers = [...document.querySelectorAll("[data-viewer]")].map((root) => new Viewer(root));
const [current, prior] = viewers;

for (const viewer of viewers) viewer.opening = viewer.open();

if (current) {
  await current.opening;
  for (const button of document.querySelectorAll("[data-show-lesion]")) {
    button.addEventListener("click", async () => {
      await current.lesion(Number(button.dataset.showLesion));
      if (prior && button.dataset.priorLesion) {
        await prior.lesion(Number(button.dataset.priorLesion));
        prior.offset = prior.k;
      }
      current.part("frame").focus({ preventScroll: true });
      current.root.scrollIntoView({ block: "nearest" });
    });
  }
  // Keys work wherever the reader is, except where a control takes them itself.
  document.addEventListener("keydown", (event) => {
    if (!event.defaultPrevented && !isTaken(event) && current.stack) current.key(event);
  });
}

if (current && prior && (await prior.opening) && current.stack) {
  const link = document.querySelector("[data-link-viewers]");
  const join = () => {
    current.followers = link.checked ? [prior] : [];
    prior.offset = prior.k;
  };
  link.addEventListener("change", join);
  join();
}
