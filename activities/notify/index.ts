export { notifyAll } from './notify.js';
