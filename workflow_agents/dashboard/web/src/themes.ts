/** Light, dark, or as the system has it: kept in the browser, told to all that show it. */
import { useEffect, useState } from "preact/hooks";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const told = new Set<(theme: Theme) => void>();
const kept = (): Theme => THEMES.find((one) => one === localStorage.getItem("theme")) ?? "system";

export function setTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  told.forEach((tell) => tell(theme));
}

export function useTheme(): [Theme, () => void] {
  const [theme, change] = useState(kept);
  useEffect(() => {
    told.add(change);
    return () => void told.delete(change);
  }, []);
  return [theme, () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!)];
}
