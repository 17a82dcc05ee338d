import type { Token } from './tokens.js';

/** Longer texts are no names of types. */
const LONGEST = 64;

/**
 * Looks for the string `type` in the object of a line: what a line says depends on it, wherever it stands. Tokens may come in
 * any number of calls.
 */
export class TypeScan {
  type: string | undefined;
  private depth = 0;
  private key = '';
  private text = '';

  /** Returns whether the type is known. */
  take(tokens: readonly Token[]): boolean {
    for (const token of tokens) {
      this.token(token);
      if (this.type !== undefined) return true;
    }
    return false;
  }

  private token(token: Token): void {
    switch (token.name) {
      case 'startObject':
      case 'startArray':
        this.depth++;
        return;
      case 'endObject':
      case 'endArray':
        this.depth--;
        return;
      case 'keyValue':
        this.key = token.value;
        return;
      case 'stringValue':
        this.value(token.value);
        return;
      case 'startKey':
      case 'startString':
        this.text = '';
        return;
      case 'stringChunk':
        if (this.text.length < LONGEST) this.text += token.value;
        return;
      case 'endKey':
        this.key = this.text;
        return;
      case 'endString':
        this.value(this.text);
        return;
      default: // no other value is a type
    }
  }

  private value(text: string): void {
    if (this.depth === 1 && this.key === 'type') this.type = text;
  }
}
