/* Lets WeChat draw the button by which the reader agrees to be notified; old browsers read this, too. */
(function () {
  var signed = document.getElementById("signed");
  var hide = function (name, hidden) { document.getElementById(name).hidden = hidden; };
  document.getElementById("subscribe").addEventListener("success", function (event) {
    // It is a success as well when the reader was asked and did not agree.
    if (JSON.stringify(event.detail || {}).indexOf("accept") < 0) { return; }
    hide("asking", true);
    hide("otherwise", true);
    hide("agreed", false);
  });
  document.addEventListener("WeixinOpenTagsError", function () { hide("asking", true); });
  if (!window.wx) { return; }
  window.wx.config({
    debug: false,
    appId: signed.getAttribute("data-app"),
    timestamp: Number(signed.getAttribute("data-time")),
    nonceStr: signed.getAttribute("data-nonce"),
    signature: signed.getAttribute("data-signature"),
    jsApiList: ["checkJsApi"],
    openTagList: ["wx-open-subscribe"]
  });
})();
