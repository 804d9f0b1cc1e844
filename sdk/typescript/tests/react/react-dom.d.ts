/** The part of React's renderer that the tests use. */
declare module "react-dom/client" {
  export function createRoot(container: Element): { render(node: React.ReactNode): void; unmount(): void };
}
