// markdown-it imports linkify-it, which is never asked: bare URLs stay text.
export class LinkifyIt {}
