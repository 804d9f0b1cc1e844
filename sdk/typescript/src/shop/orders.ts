/** Orders: how they stand, and every step of their way. */

import type { Sampan } from "../client.js";
import type { Order, OrderStatus, OrderStatusUpdate } from "./model.js";
import { type Look, Service } from "./service.js";

/** Questions and answers by the last token of their topic. */
export interface OrderQuestions {
  get: [{ id: string }, Order];
  list: [{ customer_id?: string; status?: OrderStatus; before?: string; limit?: number }, { orders: Order[] }];
  history: [{ id: string; limit?: number }, { checkpoints: Record<string, unknown>[] }];
}

/**
 * Orders, seen through a client.
 *
 * ```ts
 * const orders = new Orders(client);
 * const look = orders.track("o-42", ({ current_status }) => show(current_status));
 * ```
 */
export class Orders extends Service<OrderQuestions> {
  constructor(client: Sampan) {
    super(client, "orders");
  }

  /** An order of the asker's own. */
  find(id: string): Promise<Order> {
    return this.ask("get", { id });
  }

  /** The asker's orders, the newest first. */
  async list(which: OrderQuestions["list"][0] = {}): Promise<Order[]> {
    return (await this.ask("list", which)).orders;
  }

  /** Hears of every status of an order, each once and in order, until it is closed. */
  track(id: string, listener: (update: OrderStatusUpdate) => void): Look {
    let version = 0;
    return this.look<OrderStatusUpdate>("order", id, (update, { event }) => {
      if (event !== "order_status_update" || update.version <= version) return;
      version = update.version;
      listener(update);
    });
  }
}
