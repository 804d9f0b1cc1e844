/** What orders, stock and notifications are, as they travel. Times are texts of a `Date`. */

import type { FiguresShown } from "../chat/model.js";

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

/** What the shop tells of an order beside its status, in the place of what it told before. */
export interface OrderTold {
  id: string;
  customer_id: string;
  agent_id?: string;
  /** With a carrier and a number the order is tracked. */
  carrier?: string;
  tracking_number?: string;
  estimated_delivery?: string;
  placed_at?: string;
}

/** Where the shop says that an order stands. */
export interface StatusTold {
  id: string;
  status: OrderStatus;
  /** When it came to stand there; now, if it is left out. */
  event_time?: string;
  location?: Location;
  estimated_delivery?: string;
  notes?: string;
}

/** What was said of an order at one point. */
export interface Checkpoint {
  source: "poll" | "webhook" | "admin";
  carrier: string;
  tracking_number: string;
  /** The carrier's code, and what it means; null if that is not known. */
  raw_code: string;
  status: OrderStatus | null;
  event_time: string;
  observed_at: string;
  location?: Location;
  estimated_delivery?: string;
  notes?: string;
}

/** How all orders stand. */
export interface OrderSummary {
  by_status: Partial<Record<OrderStatus, number>>;
  /** Orders that should have come by now. */
  late: number;
  /** Orders that carriers are asked about. */
  tracked: number;
  /** Of these, those whose carrier has failed to answer four times in a row or more. */
  stuck: number;
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
  locations?: LocationStock[];
}

/** A product, or a variant of it, at a place. */
export interface StockKey {
  product_id: string;
  variant_id?: string;
  location: string;
}

/** Stock at a place. */
export interface LocationStock extends StockKey {
  on_hand: number;
  reserved: number;
  safety_stock: number;
  available: number;
  version: number;
}

/** What is counted or changed at a place; one of the numbers at least. */
export interface Adjusted extends StockKey {
  /** What was counted. */
  on_hand?: number;
  by?: number;
  safety_stock?: number;
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

/** What a notification is to tell whom. */
export interface Trigger {
  user_id: string;
  type: NotificationType;
  data: Record<string, unknown>;
  channels?: Channel[];
  priority?: InboxItem["priority"];
  /** Seconds; 0 is now or never. */
  ttl?: number;
  idempotency_key?: string;
  /** Of the event that tells the same on the user's pages. */
  event_id?: string;
}

/** How far a delivery is. */
export type DeliveryState =
  | "queued"
  | "deferred"
  | "sending"
  | "sent"
  | "delivered"
  | "seen"
  | "clicked"
  | "bounced"
  | "failed"
  | "expired"
  | "suppressed"
  | "cancelled";

/** One delivery of a notification, to one endpoint. */
export interface DeliveryOf {
  delivery_id: string;
  channel: Channel;
  state: DeliveryState;
  reason?: string;
  attempts: number;
}

/** A notification that was taken. */
export interface Accepted {
  notification_id: string;
  deliveries: DeliveryOf[];
}

/** A notification, its deliveries and every attempt. */
export interface DeliveryReport extends Accepted {
  user_id: string;
  type: NotificationType;
  created_at: string;
  expires_at: string;
  attempts: {
    delivery_id: string;
    n: number;
    at: string;
    ms: number;
    provider: string;
    class: string;
    status: number;
    code: string;
  }[];
}

/** What has become of a delivery: `notification:sent` and the others. */
export interface DeliveryOutcome extends DeliveryOf {
  notification_id: string;
  user_id: string;
  type: NotificationType;
  provider: string;
  job?: string;
  at: string;
}

/** What a template says, as it is stored. */
export interface TemplatePut {
  type: NotificationType;
  channel: Channel;
  locale: string;
  title_template?: string;
  body_template: string;
  action_url?: string;
  icon_url?: string;
  badge_count?: number;
  sound?: string;
  priority?: InboxItem["priority"];
  /** Seconds. */
  ttl: number;
}

/** A template; of one type, channel and language the newest version is taken. */
export interface Template extends TemplatePut {
  id: string;
  version: number;
  title_template: string;
}

/** What a template makes of data. */
export interface Preview {
  template_id: string;
  title: string;
  body: string;
  /** Messages that a text takes. */
  sms_parts?: number;
}

/** An address to which nothing is sent. */
export interface Suppressed {
  channel: "email" | "sms";
  address: string;
  reason?: string;
}

/** One notification of a job. */
export type BulkItem = Pick<Trigger, "user_id" | "type" | "data" | "channels">;

/** How far a job is: `bulk:progress`. */
export interface BulkProgress {
  job_id: string;
  state: "open" | "running" | "done" | "cancelled";
  total: number;
  /** Items that became notifications, and those that were refused. */
  done: number;
  failed: number;
  /** Deliveries by state. */
  deliveries: Partial<Record<DeliveryState, number>>;
}

/** A device that gets pushes. */
export interface Device {
  device_id: string;
  provider: "firebase" | "apn" | "web_push";
  app: string;
  last_seen_at: string;
}

/** What the shop tells of a user, in the place of all that it told before. */
export interface UserTold {
  id: string;
  role: "customer" | "agent" | "admin" | "service";
  name?: string | null;
  vip?: boolean;
  /** In the shop's currency. */
  lifetime_value?: number;
  /** Such as `th-TH`. */
  locale?: string | null;
  time_zone?: string | null;
  email?: string | null;
  email_verified_at?: string | null;
  phone?: string | null;
  phone_verified_at?: string | null;
}

/** A user. */
export interface User extends UserTold {
  created_at: string;
  updated_at: string;
}

/** The figures that a shop is run by; null where there is nothing to divide by. */
export interface ShopFigures {
  reservations: number;
  /** Of these, those that were paid since. */
  sold: number;
  orders: number;
  delivered: number;
  cancelled: number;
  notified: number;
  clicked: number;
  undelivered: number;
  /** The share of reservations that were paid. */
  conversion: number | null;
  /** The share of notifications that the user opened. */
  opened: number | null;
  chat: FiguresShown;
}

/** The figures of some days. */
export interface FiguresByDay {
  total: ShopFigures;
  /** Those of days on which something was counted, in order. */
  days: (ShopFigures & { day: string })[];
}
