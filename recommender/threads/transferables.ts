/** The buffers in a value of plain objects and typed arrays that may change hands instead of being copied. */
export function transferables(value: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const visit = (inner: unknown): void => {
    if (ArrayBuffer.isView(inner)) {
      if (inner.buffer instanceof ArrayBuffer) found.add(inner.buffer);
    } else if (typeof inner === 'object' && inner !== null) {
      Object.values(inner).forEach(visit);
    }
  };
  visit(value);
  return [...found];
}
