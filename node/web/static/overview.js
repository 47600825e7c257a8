// The session has ended: a new page leads to the login, or is that of whoever logged in meanwhile.

document.addEventListener("htmx:sseClose", (event) => {
  if (event.detail.type === "message") window.location.reload();
});
