"""How the phone's pages look, and the few lines of script that keep them fresh."""

STYLE = """
:root{--ink:#16202c;--soft:#5b6b7d;--line:#dfe5ec;--ground:#f3f5f8;--paper:#fff;--brand:#5b2bd6;--brand-ink:#fff;
--good:#0b7a4b;--good-ground:#e6f6ee;--bad:#b3261e;--bad-ground:#fdecea;--wait:#8a5a00;--wait-ground:#fff4db}
@media (prefers-color-scheme:dark){:root{--ink:#eef2f6;--soft:#9fb0c2;--line:#2c3845;--ground:#10161d;--paper:#18212b;
--brand:#8f6bff;--brand-ink:#10161d;--good:#5fd6a0;--good-ground:#12301f;--bad:#ff8d85;--bad-ground:#3a1714;
--wait:#ffcb66;--wait-ground:#33270b}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);
font:16px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
header{display:flex;justify-content:space-between;align-items:flex-start;gap:16px;max-width:1040px;margin:0 auto;
padding:20px 20px 8px}
h1{font-size:22px;line-height:1.2;margin:0}
header p{margin:2px 0 0;color:var(--soft);font-size:14px}
.language{color:var(--brand);font-size:14px;padding:6px 0;white-space:nowrap}
main{max-width:1040px;margin:0 auto;padding:8px 20px 40px}
h2{font-size:15px;font-weight:600;color:var(--soft);margin:28px 0 10px}
.scan{background:var(--paper);border:1px solid var(--line);border-radius:16px;padding:16px}
label,legend,.label{display:block;color:var(--soft);font-size:14px;margin:0 0 6px;padding:0}
.line{display:flex;gap:8px}
input:not([type=radio]),select{width:100%;min-width:0;font:inherit;color:inherit;background:var(--ground);
border:1px solid var(--line);border-radius:12px;padding:11px 12px}
form{margin:0}.outcome+form{margin-top:20px}
button{font:inherit;font-weight:600;border:0;border-radius:12px;padding:12px 18px;cursor:pointer;white-space:nowrap}
.primary{background:var(--brand);color:var(--brand-ink)}
.second{background:var(--ground);color:var(--bad);border:1px solid var(--line)}
.quiet{background:none;color:var(--soft);border:1px dashed var(--line);font-weight:500}
a:focus-visible,button:focus-visible,input:focus-visible,select:focus-visible{outline:3px solid var(--brand);
outline-offset:2px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr));gap:12px}
.card{display:grid;gap:2px;align-content:start;background:var(--paper);border:1px solid var(--line);border-radius:16px;
padding:14px 16px;color:inherit;text-decoration:none}
.card:hover{border-color:var(--brand)}
.sum{font-size:20px;font-weight:700;font-variant-numeric:tabular-nums}
.what{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.id{color:var(--soft);font:12px/1.4 ui-monospace,Consolas,monospace;overflow-wrap:anywhere}
.empty{grid-column:1/-1;color:var(--soft);text-align:center;border:1px dashed var(--line);border-radius:16px;
padding:36px 20px;margin:0}
.back{margin:8px 0 12px}
.back a{color:var(--brand);text-decoration:none}
.pay{display:grid;gap:16px}
.sheet,.aside{background:var(--paper);border:1px solid var(--line);border-radius:20px;padding:20px;min-width:0}
.label{margin:0}
.total{font-size:36px;font-weight:750;line-height:1.15;margin:0;font-variant-numeric:tabular-nums}
.purpose{margin:6px 0 0;overflow-wrap:anywhere}
.left{color:var(--soft);margin:4px 0 0;font-variant-numeric:tabular-nums}
fieldset{border:0;margin:20px 0 0;padding:0;min-width:0}
.banks{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:8px;margin-bottom:8px}
.bank{margin:0;cursor:pointer}
.bank input{position:absolute;opacity:0}
.bank span{display:flex;align-items:center;min-height:48px;padding:8px 12px;border:1px solid var(--line);
border-radius:12px;color:var(--ink);font-size:15px;line-height:1.2}
.bank input:checked+span{border-color:var(--brand);box-shadow:inset 0 0 0 1px var(--brand);font-weight:600}
.bank input:focus-visible+span{outline:3px solid var(--brand);outline-offset:2px}
.buttons{display:grid;grid-template-columns:2fr 1fr;gap:8px;margin-top:20px}
.buttons .quiet,.buttons .hint,.buttons :only-child{grid-column:1/-1}
.hint{color:var(--soft);font-size:14px;margin:0}
.outcome{display:flex;gap:14px;align-items:center;border-radius:16px;padding:14px 16px}
*+.outcome{margin-top:16px}
.outcome>span{flex:none;display:grid;place-items:center;width:40px;height:40px;border-radius:50%;font-size:20px;
font-weight:700;color:var(--paper)}
.outcome p{margin:2px 0 0;font-size:14px;color:var(--ink)}
.accepted,.bound{background:var(--good-ground);color:var(--good)}
.accepted>span,.bound>span{background:var(--good)}
.rejected,.expired{background:var(--bad-ground);color:var(--bad)}
.rejected>span,.expired>span{background:var(--bad)}
.late,.not_armed{background:var(--wait-ground);color:var(--wait)}.late>span,.not_armed>span{background:var(--wait)}
.fault{color:var(--bad);margin:10px 0 0}
.sheet>.fault{margin:0 0 12px}
.script{font-size:14px;color:var(--wait);margin:16px 0 0;overflow-wrap:anywhere}
.qr{display:block;width:min(100%,220px);margin:0 auto 16px;background:#fff;border-radius:12px}
dl{margin:0;font-size:14px}
dt{color:var(--soft)}
dd{margin:0 0 10px;overflow-wrap:anywhere}
dd:last-child{margin-bottom:0}
@media (min-width:800px){.pay{grid-template-columns:minmax(0,1fr) 340px;align-items:start}.sheet{padding:28px}
.total{font-size:44px}.banks{grid-template-columns:repeat(3,minmax(0,1fr))}}
"""

REFRESH = """
setInterval(async()=>{if(document.hidden)return;try{const answer=await fetch(location.href);if(!answer.ok)return;
const now=document.querySelector('main'),old=now.querySelector('[data-state]'),live=now.querySelector('#live');
const main=new DOMParser().parseFromString(await answer.text(),'text/html').querySelector('main');
const state=main.querySelector('[data-state]'),fresh=main.querySelector('#live');
if(old&&state){if(old.dataset.state!==state.dataset.state)now.replaceWith(main)}
else if(live&&fresh&&live.innerHTML!==fresh.innerHTML)live.innerHTML=fresh.innerHTML}catch(gone){}},2000);
setInterval(()=>{for(const clock of document.querySelectorAll('[data-left]')){
const left=Math.max(0,clock.dataset.left-1);clock.dataset.left=left;
clock.textContent=Math.floor(left/60)+':'+String(left%60).padStart(2,'0')}},1000);
"""
