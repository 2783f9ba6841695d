// What the page uses of Observable Plot; see README.md beside this file for how plot.min.js is made.
export {plot, axisX, axisY, cell, dot, gridX, gridY, link, ruleX, ruleY, text} from "@observablehq/plot";
