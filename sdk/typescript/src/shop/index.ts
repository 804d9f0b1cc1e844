/**
 * The other services of a shop, typed: orders, stock, notifications, users and figures.
 *
 * @module
 */

export { Inventory, type StockQuestions } from "./inventory.js";
export { Notifications, type NotificationQuestions } from "./notifications.js";
export { Orders, type OrderQuestions, type Tracked } from "./orders.js";
export { Shop, type ShopQuestions, Users, type UserQuestions } from "./shop.js";
export type * from "./model.js";
