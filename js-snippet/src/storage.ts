/** Storage that never throws: merely touching it does in sandboxed frames and where it is denied. */

export interface Store {
  read(key: string): string | null;
  write(key: string, value: string | null): void;
}

export function openStore(kind: string): Store {
  const area = () => (kind === "local" ? localStorage : sessionStorage);
  return {
    read(key) {
      try {
        return area().getItem(key);
      } catch {
        return null;
      }
    },
    write(key, value) {
      try {
        if (value === null) area().removeItem(key);
        else area().setItem(key, value);
      } catch {
        // Nothing is kept then; events go out without an id.
      }
    },
  };
}
