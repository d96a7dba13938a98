/** Elements in one line each. */
type Child = Node | string | null | undefined | false;
type Props = Record<string, unknown>;
type Named<K extends string> = K extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[K] : HTMLElement;
type ElementOf<T extends string> = T extends `${infer K}.${string}` ? Named<K> : Named<T>;

/** `h("button.primary", {"data-role": "start", onclick: …}, "Start")`: keys starting with "on" are listeners. */
export function h<T extends string>(tag: T, props?: Props | null, ...children: Child[]): ElementOf<T> {
  const [name = "div", ...classes] = tag.split(".");
  const element = document.createElement(name) as ElementOf<T>;
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props ?? {})) {
    if (key.startsWith("on") && typeof value === "function") element.addEventListener(key.slice(2), value as EventListener);
    else attribute(element, key, value as AttributeValue);
  }
  element.append(...children.filter((c): c is Node | string => c != null && c !== false));
  return element;
}

type AttributeValue = string | number | boolean | null | undefined;

/** Set, or with null/false remove; touches the document only on a change. */
export function attribute(element: Element, name: string, value: AttributeValue): void {
  if (value == null || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

export function text(element: Element, value: string): void {
  if (element.textContent !== value) element.textContent = value;
}

/** Rebuild children only when `key` differs from the last call's. */
export function rebuilt(element: HTMLElement, key: string, make: () => Child[]): void {
  if (element.dataset["key"] === key) return;
  element.dataset["key"] = key;
  element.replaceChildren(...make().filter((c): c is Node | string => c != null && c !== false));
}
