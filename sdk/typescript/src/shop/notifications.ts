/** A user's notifications: the inbox, the devices, and what the user wants to hear of. */

import type { Sampan } from "../client.js";
import type {
  Accepted, BulkItem, BulkProgress, Channel, DeliveryOutcome, DeliveryReport, Device, InboxItem, InboxUpdated, Mark,
  NotificationType, Preferences, Preview, Suppressed, Template, TemplatePut, Trigger,
} from "./model.js";
import { type Look, Service } from "./service.js";

/** Questions and answers by the last token of their topic. */
export interface NotificationQuestions {
  send: [Trigger, Accepted];
  get: [{ notification_id: string }, DeliveryReport];
  cancel: [{ notification_id: string }, DeliveryReport];
  failed: [{ limit?: number }, { deliveries: DeliveryOutcome[] }];
  replay: [{ delivery_id: string; ttl?: number }, DeliveryOutcome];
  inbox: [{ user_id?: string; before?: string; archived?: boolean; limit?: number }, { items: InboxItem[]; unread: number }];
  mark: [{ ids?: string[]; as: Mark }, InboxUpdated];
  device_put: [{ provider: Device["provider"]; app?: string; token: string; p256dh?: string; auth?: string }, Device];
  device_remove: [{ device_id: string } | { token: string }, object];
  devices: [Record<string, never>, { devices: Device[] }];
  preferences: [Record<string, never>, Preferences];
  preferences_put: [Preferences, Preferences];
  webpush_key: [Record<string, never>, { key: string }];
  templates: [Record<string, never>, { templates: Template[] }];
  template_put: [TemplatePut, Template];
  preview: [{ type: NotificationType; channel: Channel; locale?: string; data: Record<string, unknown> }, Preview];
  suppress: [Suppressed, object];
  unsuppress: [Suppressed, object];
  suppressions: [{ channel: Suppressed["channel"]; after?: string; limit?: number }, { suppressions: Suppressed[] }];
  bulk_part: [{ job_id: string; from: number; items: BulkItem[]; is_last?: boolean }, BulkProgress];
  bulk_get: [{ job_id: string }, BulkProgress];
  bulk_refused: [{ job_id: string }, { items: { n: number; reason: string }[] }];
  bulk_cancel: [{ job_id: string }, BulkProgress];
  bulk_resume: [{ job_id: string }, BulkProgress];
}

/** What a look at the inbox hears. */
export interface InboxListener {
  /** A notification has come. It is marked as delivered by itself, which spares its push. */
  onNew?(item: InboxItem): void;
  /** Notifications were seen, read or put away, on whatever page. */
  onUpdated?(updated: InboxUpdated): void;
}

/**
 * A user's notifications, seen through a client.
 *
 * ```ts
 * const inbox = new Notifications(client);
 * inbox.watch(user, { onNew: ({ title, body }) => show(title, body) });
 * ```
 */
export class Notifications extends Service<NotificationQuestions> {
  constructor(client: Sampan) {
    super(client, "notify");
  }

  /** Tells a user something; once under one `idempotency_key`. */
  send(trigger: Trigger): Promise<Accepted> {
    return this.ask("send", trigger);
  }

  /** The inbox, the newest first, and how many are not read. */
  inbox(page: NotificationQuestions["inbox"][0] = {}): Promise<{ items: InboxItem[]; unread: number }> {
    return this.ask("inbox", page);
  }

  /** Says what was seen, read, followed or put away; of all in the inbox without ids. */
  mark(as: Mark, ids?: string[]): Promise<InboxUpdated> {
    return this.ask("mark", ids === undefined ? { as } : { ids, as });
  }

  /** Hears of the user's notifications until it is closed. */
  watch(user: string, { onNew, onUpdated }: InboxListener): Look {
    return this.look<InboxItem | InboxUpdated>("user", user, (told, { event }) => {
      if (event === "notification:new") {
        const item = told as InboxItem;
        // Who did not hear it in time gets a push as well, and no harm is done.
        this.mark("delivered", [item.notification_id]).catch(() => {});
        onNew?.(item);
      } else if (event === "notification:updated") {
        onUpdated?.(told as InboxUpdated);
      }
    });
  }

  /** Registers a browser's subscription, as `PushManager.subscribe` gives it. */
  register(subscription: { endpoint: string; keys: { p256dh: string; auth: string } }, app = ""): Promise<Device> {
    const { endpoint, keys } = subscription;
    return this.ask("device_put", { provider: "web_push", app, token: endpoint, ...keys });
  }

  /** What browsers subscribe with, as `applicationServerKey`. */
  async webPushKey(): Promise<string> {
    return (await this.ask("webpush_key", {})).key;
  }
}
