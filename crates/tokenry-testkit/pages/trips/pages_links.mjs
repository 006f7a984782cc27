import { walkTour } from '../lib/tour/walk.mjs';

export const says = 'every page that a connect link leads to is accessible, in the light and in the dark, and neither overflows nor jumps at 360, 768 and 1440 px';
export const weight = 40;
export const patience_ms = 400_000;

export function walk(trip) {
  return walkTour(trip, 'links');
}
