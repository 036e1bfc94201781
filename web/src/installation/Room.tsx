import type { ReactNode } from "react";
import css from "./installation.module.css";

type Props = { id: string; title: string; lead: string; children: ReactNode };

/** A section of the installation: what it is about, and its table. */
export function Room({ id, title, lead, children }: Props) {
  return (
    <section className={`card ${css.room}`} aria-labelledby={id}>
      <div className={css.head}>
        <h2 id={id}>{title}</h2>
        <p>{lead}</p>
      </div>
      {children}
    </section>
  );
}
