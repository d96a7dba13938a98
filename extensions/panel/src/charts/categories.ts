/** What a text with a category a token shows, apart from the document: how each category looks, how each piece reads. */
import { tokensOf } from "./responses";

const COLORS = 8; // after which the second tone begins: a pale ground with a line under it

/** Which of the palette's colours a category has, in which of two tones. */
export const look = (category: number): { color: number; tone: number } => ({ color: category % COLORS, tone: Math.floor(category / COLORS) % 2 });

export const percent = (share: number): string => `${share > 0 && share < 0.0995 ? (share * 100).toFixed(1) : String(Math.round(share * 100))} %`;

/** A part of a piece as it reads: a chip where it has no letter of its own, and whether a line ends with it. */
export interface Part {
  text: string;
  chip: boolean;
  ends: boolean;
}

export const shown = (piece: string): Part[] => tokensOf(piece, []).map(({ text, chip }) => ({ text: chip ? byte(text) : text, chip, ends: chip && text === "⏎" }));

/** A byte that is no text is shown in hex alone. */
const byte = (chip: string): string => /^<0x([0-9A-F]{2,})>$/.exec(chip)?.[1] ?? chip;
