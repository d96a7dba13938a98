/** Where a box beside something goes, so that it stays inside the panel. All in CSS pixels from the panel's corner. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

const RIM = 8;

/** To the right of `anchor` where there is room, else to its left, else below or above; never over the rim. */
export function placeBeside(anchor: Box, size: { width: number; height: number }, room: { width: number; height: number }, gap = 14): { left: number; top: number } {
  const clampTo = (x: number, length: number, end: number): number => Math.max(RIM, Math.min(x, end - length - RIM));
  const right = anchor.left + anchor.width + gap;
  const left = anchor.left - gap - size.width;
  const beside = right + size.width <= room.width - RIM ? right : left >= RIM ? left : null;
  if (beside != null) return { left: beside, top: clampTo(anchor.top - 20, size.height, room.height) };
  const below = anchor.top + anchor.height + gap;
  const top = below + size.height <= room.height - RIM ? below : anchor.top - gap - size.height;
  return { left: clampTo(anchor.left + anchor.width / 2 - size.width / 2, size.width, room.width), top: clampTo(top, size.height, room.height) };
}

/** Hanging from a button: under it where there is room, else above it. */
export function placeUnder(anchor: Box, size: { width: number; height: number }, room: { width: number; height: number }, gap = 4): { left: number; top: number } {
  const below = anchor.top + anchor.height + gap;
  const top = below + size.height <= room.height - RIM ? below : Math.max(RIM, anchor.top - gap - size.height);
  return { left: Math.max(RIM, Math.min(anchor.left, room.width - size.width - RIM)), top };
}
