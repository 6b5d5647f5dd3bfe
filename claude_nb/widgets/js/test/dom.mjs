import { parseHTML } from "linkedom";

export const { document } = parseHTML("<!doctype html><body></body>");
export const div = () => document.createElement("div");
