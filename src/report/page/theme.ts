/** Light or dark colours: those of the system, unless the reader chooses others. */
import { element } from './element.js';

const CHOICES = ['auto', 'light', 'dark'] as const;
type Choice = (typeof CHOICES)[number];
const KEY = 'tandem-theme';
const DARK = matchMedia('(prefers-color-scheme: dark)');

/** A switch for the head of the page; `changed` is called after each change of colours. */
export function themeSwitch(changed: () => void): HTMLElement {
  let chosen = remembered();
  show(chosen);
  DARK.addEventListener('change', () => {
    show(chosen);
    changed();
  });
  const options = CHOICES.map((choice) => {
    const input = element('input', { type: 'radio', name: 'theme', value: choice });
    input.checked = choice === chosen;
    input.addEventListener('change', () => {
      chosen = choice;
      show(choice);
      remember(choice);
      changed();
    });
    return element('label', {}, input, element('span', {}, choice));
  });
  return element('fieldset', { class: 'theme' }, element('legend', { class: 'unseen' }, 'Colours'), ...options);
}

function show(choice: Choice): void {
  document.documentElement.dataset.theme = choice === 'auto' ? (DARK.matches ? 'dark' : 'light') : choice;
}

/** A browser may have no storage for a page from a file. */
function remembered(): Choice {
  try {
    return CHOICES.find((choice) => choice === localStorage.getItem(KEY)) ?? 'auto';
  } catch {
    return 'auto';
  }
}

function remember(choice: Choice): void {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

/** The colours of the style sheet, for the canvases. */
export interface Colours {
  readonly ink: string;
  readonly quiet: string;
  readonly hair: string;
  readonly paper: string;
  readonly idle: string;
  readonly hatch: string;
  readonly sum: string;
  readonly hop: string;
  readonly load: string;
  readonly accent: string;
  readonly onBox: string;
  readonly boxes: readonly string[];
  readonly font: string;
}

/** Colours of micro-batches, used in rotation. */
const BOX_COLOURS = 6;

export function colours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const boxes = Array.from({ length: BOX_COLOURS }, (_, n) => of(`box-${n}`));
  return {
    ...{
      ink: of('ink'),
      quiet: of('quiet'),
      hair: of('hair'),
      paper: of('paper'),
      idle: of('idle'),
      hatch: of('hatch'),
    },
    ...{
      sum: of('sum'),
      hop: of('hop'),
      load: of('load'),
      accent: of('accent'),
      onBox: of('on-box'),
      boxes,
      font: of('font'),
    },
  };
}
