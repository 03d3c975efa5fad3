// How Streamlit mounts a view and ends it: one object for each place on the page, which stays while new data come.

/** Return a component's `mount`: `make(parent)` gives the view, whose `update(component)` returns the number of its visit. */
export function mounting(make) {
  const views = new WeakMap();
  return (component) => {
    const { parentElement } = component;
    let view = views.get(parentElement);
    if (!view) {
      view = make(parentElement);
      views.set(parentElement, view);
    }
    const visit = view.update(component);
    // Streamlit may call an older visit's clean-up after a newer visit began; only the last one ends the view.
    return () => {
      if (view.visit === visit) {
        view.close();
        views.delete(parentElement);
      }
    };
  };
}
