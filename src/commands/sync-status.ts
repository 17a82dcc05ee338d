/** What the command line needs to answer where a sync stands. */
export { StatusBoard } from '../status/board.js';
export { StatusServer } from '../status/server.js';
