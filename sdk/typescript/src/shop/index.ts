/**
 * The other services of a shop, typed: orders, stock, notifications.
 *
 * @module
 */

export { Inventory, type StockQuestions } from "./inventory.js";
export { Notifications, type NotificationQuestions } from "./notifications.js";
export { Orders, type OrderQuestions } from "./orders.js";
export type * from "./model.js";
