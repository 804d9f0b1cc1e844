/** Orders: how they stand, and every step of their way. */

import type { Sampan } from "../client.js";
import type { Checkpoint, Order, OrderStatus, OrderStatusUpdate, OrderSummary, OrderTold, StatusTold } from "./model.js";
import { type Look, Service } from "./service.js";

/** Questions and answers by the last token of their topic. */
export interface OrderQuestions {
  upsert: [OrderTold, Order];
  status: [StatusTold, { order: Order; changed: boolean }];
  get: [{ id: string }, Order];
  list: [{ customer_id?: string; status?: OrderStatus; before?: string; limit?: number }, { orders: Order[] }];
  history: [{ id: string; limit?: number }, { checkpoints: Checkpoint[] }];
  track: [{ id: string }, Order];
  untrack: [{ id: string }, Order];
  summary: [Record<string, never>, OrderSummary];
}

/** A look at one order. */
export interface Tracked extends Look {
  /** How the order stands; what is told follows on it. */
  readonly ready: Promise<Order>;
}

/**
 * Orders, seen through a client.
 *
 * ```ts
 * const orders = new Orders(client);
 * const look = orders.track("o-42", ({ current_status }) => show(current_status));
 * show((await look.ready).status);
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

  /**
   * Hears of every status that an order has after `ready`, each once and in order, until it is closed. What its
   * customer has heard by this gets no push.
   */
  track(id: string, listener: (update: OrderStatusUpdate) => void): Tracked {
    let version: number | undefined;
    const early: OrderStatusUpdate[] = [];
    const hear = (update: OrderStatusUpdate) => {
      if (version === undefined) return void early.push(update);
      if (update.version <= version) return;
      version = update.version;
      if (update.customer_id === this.client.status.user) {
        // What cannot be marked gets a push as well.
        this.client.request("notify.mark", { ids: [update.event_id], as: "delivered" }).catch(() => {});
      }
      listener(update);
    };
    const look = this.look<OrderStatusUpdate>("order", id, (update, { event }) => {
      if (event === "order_status_update") hear(update);
    });
    const begin = async () => {
      await look.ready;
      const order = await this.find(id);
      version = order.version;
      early.splice(0).forEach(hear);
      return order;
    };
    const ready = begin();
    ready.catch(() => look.close());
    return { ready, close: () => look.close() };
  }
}
