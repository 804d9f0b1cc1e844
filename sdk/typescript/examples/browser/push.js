// The service worker of push.html: it shows what the shop pushes, and tells the pages that are open.

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  const { title, body, url, icon, tag, lang } = event.data.json();
  const options = { body, lang, data: { url } };
  if (icon) options.icon = icon;
  if (tag) options.tag = tag;
  event.waitUntil(show(title, options));
});

async function show(title, options) {
  await self.registration.showNotification(title, options);
  for (const page of await self.clients.matchAll({ type: "window" })) page.postMessage({ title, body: options.body });
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const { url } = event.notification.data;
  if (url) event.waitUntil(self.clients.openWindow(url));
});
