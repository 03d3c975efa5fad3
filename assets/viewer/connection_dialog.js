// While the app is away, Streamlit lays a dialog over the page and takes the focus. The viewer says itself what waits to be stored and
// goes on with what it has, so where it is on the page that dialog is closed as it comes.

const OPEN = ".stDialog:not(:has(.stVerticalBlock))"; // Streamlit's own: the app's dialogs hold elements of a page
const APP = "[data-test-connection-state]";

export class ConnectionDialog {
  /** `closed` is called when one was closed and the focus is free again. */
  constructor(closed) {
    this.closed = closed;
    this.observer = new MutationObserver(() => this.look());
    this.observer.observe(document.body, { childList: true });
  }

  look() {
    const dialog = document.querySelector(OPEN);
    if (!dialog || document.querySelector(APP)?.dataset.testConnectionState === "CONNECTED") return;
    dialog.querySelector('button[aria-label="Close"]')?.click();
    setTimeout(this.closed, 100); // after Streamlit has given the focus back to the page
  }

  close() {
    this.observer.disconnect();
  }
}
