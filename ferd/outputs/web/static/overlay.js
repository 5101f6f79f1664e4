// Draws what was found over the picture: boxes, points, track numbers, labels.

import { colourOf } from "./colours.js";

export function draw(canvas, reading, bitmap, labels, chosen) {
  const [width, height] = reading.size;
  const shown = bitmap ? [bitmap.width, bitmap.height] : fitted(width, height);
  if (canvas.width !== shown[0] || canvas.height !== shown[1]) [canvas.width, canvas.height] = shown;
  const context = canvas.getContext("2d");
  if (bitmap) context.drawImage(bitmap, 0, 0);
  else {
    context.fillStyle = "#20262b";
    context.fillRect(0, 0, ...shown);
  }
  const scale = shown[0] / width;
  for (const face of reading.faces) drawFace(context, face, scale, labels, face.id === chosen, shown[0]);
}

const fitted = (width, height) => (width > 640 ? [640, Math.round((height * 640) / width)] : [width, height]);

function drawFace(context, face, scale, labels, isChosen, width) {
  const [x, y, w, h] = face.box.map((value) => value * scale);
  const colour = face.label ? colourOf(face.label, labels.indexOf(face.label)) : "#ffffff";
  context.setLineDash(face.seen ? [] : [6, 6]);
  for (const [style, thickness] of [["#000000", isChosen ? 5 : 4], [colour, isChosen ? 3 : 2]]) {
    context.strokeStyle = style;
    context.lineWidth = thickness;
    context.strokeRect(x, y, w, h);
  }
  context.setLineDash([]);
  for (const [px, py] of face.points ?? []) {
    context.beginPath();
    context.arc(px * scale, py * scale, 3, 0, 2 * Math.PI);
    context.fillStyle = "#ffffff";
    context.fill();
    context.lineWidth = 1;
    context.strokeStyle = "#000000";
    context.stroke();
  }
  caption(context, face, x, y, h, width, colour);
}

function caption(context, face, x, y, h, width, colour) {
  const words = `#${face.id} ${face.label ?? "unsure"}${face.confidence === null ? "" : ` ${Math.round(100 * face.confidence)} %`}`;
  context.font = "600 15px system-ui, sans-serif";
  const wide = context.measureText(words).width + 12;
  const left = Math.max(0, Math.min(x - 2, width - wide));
  const top = y > 24 ? y - 24 : Math.max(0, y + h + 2);
  context.fillStyle = "#000000cc";
  context.fillRect(left, top, wide, 22);
  context.fillStyle = colour;
  context.fillRect(left, top, 4, 22);
  context.fillStyle = "#ffffff";
  context.fillText(words, left + 8, top + 16);
}
