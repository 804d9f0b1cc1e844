/** The shop itself: what it tells of users, and the figures that it is run by. */

import type { Sampan } from "../client.js";
import type { FiguresByDay, User, UserTold } from "./model.js";
import { Service } from "./service.js";

/** Questions and answers about users, by the last token of their topic. */
export interface UserQuestions {
  upsert: [UserTold, User];
  get: [{ id: string }, User];
}

/** Questions and answers about the shop, by the last token of their topic. */
export interface ShopQuestions {
  figures: [{ from: string; to: string }, FiguresByDay];
}

/** Users, seen through a client of those who run the shop. */
export class Users extends Service<UserQuestions> {
  constructor(client: Sampan) {
    super(client, "users");
  }

  /** Tells of a user, in the place of all that was told before. */
  upsert(told: UserTold): Promise<User> {
    return this.ask("upsert", told);
  }

  /** A user that somebody has told of. */
  find(id: string): Promise<User> {
    return this.ask("get", { id });
  }
}

/** The shop, seen through a client of those who run it. */
export class Shop extends Service<ShopQuestions> {
  constructor(client: Sampan) {
    super(client, "shop");
  }

  /** The figures of these days, such as `2026-11-01`, of UTC; 400 at most. */
  figures(from: string, to: string): Promise<FiguresByDay> {
    return this.ask("figures", { from, to });
  }
}
