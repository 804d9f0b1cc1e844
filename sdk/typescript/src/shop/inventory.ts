/** Stock, and what customers hold of it. */

import type { Sampan } from "../client.js";
import type { Adjusted, LocationStock, ProductStock, Reservation, Reserved, StockKey, StockUpdate, Wanted } from "./model.js";
import { type Look, Service } from "./service.js";

/** Questions and answers by the last token of their topic. */
export interface StockQuestions {
  get: [{ product_id: string }, ProductStock];
  reserve: [Wanted & { customer_id?: string; idempotency_key?: string }, Reserved];
  release: [{ reservation_id: string }, Reservation];
  extend: [{ reservation_id: string }, Reservation];
  get_reservation: [{ reservation_id: string }, Reservation];
  reservations: [{ customer_id?: string }, { reservations: Reservation[] }];
  payment_pending: [{ reservation_id: string }, Reservation];
  payment_failed: [{ reservation_id: string }, Reservation];
  commit: [{ reservation_id: string; order_id: string }, Reservation];
  restock: [{ lines: (StockKey & { quantity: number })[]; idempotency_key?: string }, { levels: LocationStock[] }];
  adjust: [{ lines: Adjusted[]; idempotency_key?: string }, { levels: LocationStock[] }];
  set_threshold: [Partial<StockKey> & { threshold?: number }, { success: boolean }];
  tell: [{ product_id?: string }, { success: boolean }];
  set_location: [{ location: string; is_sellable: boolean; rank?: number }, { success: boolean }];
}

/**
 * Stock, seen through a client.
 *
 * ```ts
 * const stock = new Inventory(client);
 * const look = stock.watch("lamp", ({ available_quantity }) => show(available_quantity));
 * const held = await stock.reserve({ product_id: "lamp", quantity: 1 }, "cart-7");
 * ```
 */
export class Inventory extends Service<StockQuestions> {
  constructor(client: Sampan) {
    super(client, "inventory");
  }

  /** What there is of a product. */
  find(product_id: string): Promise<ProductStock> {
    return this.ask("get", { product_id });
  }

  /**
   * Hears what there is of a product, at once and with every change, until it is closed: of each
   * variant the newest, never an older one after a newer.
   */
  watch(product_id: string, listener: (update: StockUpdate) => void): Look {
    const versions = new Map<string, number>();
    return this.look<StockUpdate>("inventory.product", product_id, (update) => {
      const variant = update.variant_id ?? "";
      if (update.version <= (versions.get(variant) ?? -1)) return;
      versions.set(variant, update.version);
      listener(update);
    });
  }

  /** Holds stock for a quarter of an hour, all that is wanted or nothing; once under one key. */
  reserve(wanted: Wanted, idempotency_key?: string): Promise<Reserved> {
    return this.ask("reserve", idempotency_key === undefined ? wanted : { ...wanted, idempotency_key });
  }

  /** Gives a reservation up. */
  release(reservation_id: string): Promise<Reservation> {
    return this.ask("release", { reservation_id });
  }

  /** Makes a reservation longer, once. */
  extend(reservation_id: string): Promise<Reservation> {
    return this.ask("extend", { reservation_id });
  }

  /** What the asker holds, the oldest first. */
  async reservations(): Promise<Reservation[]> {
    return (await this.ask("reservations", {})).reservations;
  }
}
