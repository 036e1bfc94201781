import { useEffect } from "react";
import { t } from "../texts";

export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · ${t.product}` : t.product;
  }, [title]);
}
