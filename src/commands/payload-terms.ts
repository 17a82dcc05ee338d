/** How a payload may be given; where several fit equally well, the first counts. */
export const PAYLOAD_FORMS = ['quoted', 'hex', 'base64', 'raw'] as const;
export type PayloadForm = (typeof PAYLOAD_FORMS)[number];
