/** First words that several commands share. */
export const GROUPS = [
  {
    name: 'payload',
    summary: 'look at what the command DUMP returns',
    description: 'Looks at what the command DUMP returns for a key: the payload that RESTORE takes.',
  },
] as const;
