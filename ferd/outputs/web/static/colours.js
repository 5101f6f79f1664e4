// Colours that colour-blind people can tell apart: Okabe and Ito, jfly.uni-koeln.de/color. No meaning rests on colour
// alone: labels are always written too.

const NAMED = {
  anger: "#d55e00", disgust: "#8a9a00", fear: "#cc79a7", happiness: "#e69f00",
  sadness: "#0072b2", surprise: "#56b4e9", neutral: "#8b949e",
};
const OTHERS = ["#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#0072b2", "#d55e00", "#8b949e", "#8a9a00"];

export const colourOf = (label, index) => NAMED[label] ?? OTHERS[index % OTHERS.length];
export const LEVELS = ["none", "notice", "warning", "alarm"];
export const LEVEL_COLOURS = ["transparent", "#56b4e9", "#e69f00", "#d55e00"];
