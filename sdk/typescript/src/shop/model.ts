/** What orders, stock and notifications are, as they travel. Times are texts of a `Date`. */

/** Where an order stands. */
export type OrderStatus =
  | "pending"
  | "confirmed"
  | "processing"
  | "packed"
  | "shipped"
  | "in_transit"
  | "exception"
  | "out_for_delivery"
  | "delivery_attempted"
  | "available_for_pickup"
  | "delivered"
  | "returning"
  | "returned"
  | "cancelled";

/** A place. */
export interface Location {
  latitude: number;
  longitude: number;
  address: string;
}

/** An order. */
export interface Order {
  id: string;
  customer_id: string;
  agent_id?: string | null;
  status: OrderStatus;
  status_at: string;
  /** One more with every status. */
  version: number;
  carrier?: string | null;
  tracking_number?: string | null;
  estimated_delivery?: string | null;
  created_at: string;
  updated_at: string;
}

/** `order_status_update`. */
export interface OrderStatusUpdate {
  order_id: string;
  customer_id: string;
  current_status: OrderStatus;
  previous_status?: OrderStatus | null;
  /** Each version is told once, in order. */
  version: number;
  event_id: string;
  event_time: string;
  observed_at: string;
  location?: Location | null;
  estimated_delivery?: string | null;
  notes?: string | null;
}

/** `inventory_update`, `out_of_stock` and `back_in_stock`. */
export interface StockUpdate {
  product_id: string;
  variant_id?: string;
  available_quantity: number;
  is_in_stock: boolean;
  /** Of two updates the one with the higher version holds. */
  version: number;
}

/** Stock of a product. */
export interface ProductStock {
  product_id: string;
  variants: StockUpdate[];
  /** Where they are; nothing for customers. */
  locations?: {
    product_id: string;
    variant_id?: string;
    location: string;
    on_hand: number;
    reserved: number;
    safety_stock: number;
    available: number;
    version: number;
  }[];
}

/** Stock that is held for a customer. */
export interface Reservation {
  reservation_id: string;
  customer_id: string;
  status: "held" | "payment_pending" | "committed" | "released" | "expired";
  expires_at: string;
  order_id?: string | null;
  lines: { product_id: string; variant_id?: string; location: string; quantity: number; status: Reservation["status"] }[];
}

/** What is wanted: one product, or several lines. */
export type Wanted =
  | { product_id: string; variant_id?: string; location?: string; quantity: number }
  | { lines: { product_id: string; variant_id?: string; location?: string; quantity: number }[] };

/** All of it is held, or nothing. */
export type Reserved =
  | ({ success: true } & Reservation)
  | { success: false; product_id: string; variant_id?: string; location: string; available: number };

/** What a notification is about. */
export type NotificationType =
  | "order_status_update"
  | "payment_confirmation"
  | "inventory_alert"
  | "chat_message"
  | "promotion_alert";

/** A way to a user. */
export type Channel = "push" | "email" | "sms" | "websocket";

/** A notification in the inbox: `notification:new`. */
export interface InboxItem {
  notification_id: string;
  type: NotificationType;
  title: string;
  body: string;
  action_url?: string;
  icon_url?: string;
  data: Record<string, unknown>;
  priority: "low" | "normal" | "high";
  created_at: string;
  seen_at?: string;
  read_at?: string;
  archived_at?: string;
}

/** What a user says of notifications. */
export type Mark = "delivered" | "seen" | "read" | "unread" | "clicked" | "archived";

/** `notification:updated`. */
export interface InboxUpdated {
  notification_ids: string[];
  as: Mark;
  /** How many of all are not read. */
  unread: number;
}

/** What a user has chosen; what is not named is left to the rules. */
export interface Preferences {
  channels?: Partial<Record<Channel, boolean>>;
  types?: Partial<Record<NotificationType, Partial<Record<Channel, boolean>>>>;
  /** Minutes of the day, by the user's clock; Monday first. */
  quiet_hours?: { tz?: string; from: number; to: number; days?: boolean[] };
}

/** A device that gets pushes. */
export interface Device {
  device_id: string;
  provider: "firebase" | "apn" | "web_push";
  app: string;
  last_seen_at: string;
}
