import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** A page with its heading, which gets the focus when one comes here, so that a screen reader says where one is. */
export function Page(props: {
  readonly title: string;
  readonly heading?: ComponentChildren;
  readonly crumb?: { readonly href: string; readonly text: string };
  readonly children: ComponentChildren;
}) {
  const { title, heading = title, crumb, children } = props;
  const ref = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Gevulot explorer`;
  }, [title]);
  useEffect(() => {
    // Not when it was just loaded: a browser puts the focus where it should be itself.
    if (isMoved) {
      ref.current?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    isMoved = true;
  }, []);
  return (
    <>
      <div class="page-head">
        {crumb && (
          <p class="crumb">
            <a href={crumb.href}>{crumb.text}</a>
          </p>
        )}
        <h1 tabIndex={-1} ref={ref}>
          {heading}
        </h1>
      </div>
      {children}
    </>
  );
}

let isMoved = false;

export function Section(props: {
  readonly title: string;
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  const id = `section-${props.title.toLowerCase().replace(/\W+/g, "-")}`;
  return (
    <section aria-labelledby={id} class="section">
      <div class="section-head">
        <h2 id={id}>{props.title}</h2>
        {props.aside}
      </div>
      {props.children}
    </section>
  );
}
