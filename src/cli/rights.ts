/** Where everything is that a server has to allow. */
const ALL = {
  source: 'All that a source has to allow is in docs/live.md, "The least rights".',
  target: 'All that a restore needs is in docs/restore.md, "The least rights".',
} as const;

/** What a user may not do, as far as the server says (redis acl.c, getAclErrorMessage; Redis 6 and 7 differ in the words). */
export function rightHint(reason: string, side: keyof typeof ALL): string {
  const command = /run the '([^']+)'/.exec(reason)?.[1];
  const all = ALL[side];
  if (command !== undefined) {
    const lacks = `The user lacks a permission, ${command.replace('|', ' ').toUpperCase()}: ACL SETUSER NAME`;
    if (/^p?sync$/.test(command)) return `${lacks} +${command} +replconf gives it; --via scan does without. ${all}`;
    if (command === 'select' && side === 'source') return `${lacks} +select gives it; --db 0 does without. ${all}`;
    return `${lacks} +${command} gives it. ${all}`;
  }
  if (!reason.includes('NOPERM')) return all;
  if (/\bkeys?\b/.test(reason)) {
    return `The user lacks a permission, to ${side === 'target' ? 'write' : 'read'} this key: ACL SETUSER NAME ~PATTERN gives it. ${all}`;
  }
  return `The user lacks a permission. ${all}`;
}
