### What the pages say, in English (Fluent: https://projectfluent.org). A second language is a file beside this one, called after its
### tag (de.ftl, pt-BR.ftl), or the same in an operator's `texts_dir`. What it lacks is said in English.
###
### A sentence is one text, also where a name, a number or a time stands in it. A test finds texts that are missing and ones that
### nobody says; another one, in a browser, words on a page that are not from here.

## The frame of every page
skip = Skip to the content
nav-label = Main
nav-connections = My connections
nav-connect = Connect
nav-operator = Operator
nav-sign-in = Sign in
nav-sign-out = Sign out
docs-title = API

## The front page
home-title = Connections, kept fresh
home-heading = Connect an account once. It stays connected.
home-lead = Tokenry keeps your connections to other services on this server: sealed, kept fresh, and handed only to the programs you allow.
home-sign-in = Sign in
home-sign-up = Create an account
home-sealed-title = Sealed
home-sealed = What a service gives is encrypted before it is stored, and never shown on a page.
home-fresh-title = Kept fresh
home-fresh = Access is renewed before it runs out, and you are told in time when only you can renew it.
home-gone-title = Gone when you say so
home-gone = Deleting a connection takes the access back at the service too.
home-developers = You write programs?
home-docs = Read the API

## Signing in, up and out
field-username = Username
field-username-hint = 1 to 64 letters, digits, dots, dashes and underscores.
field-email = E-mail
field-password = Password
field-password-hint = At least 8 characters. A few words you can remember are good.
sign-in-title = Sign in
sign-in-heading = Sign in
sign-in-submit = Sign in
sign-in-new = New here?
sign-in-sign-up = Create an account
sign-up-title = Create an account
sign-up-heading = Create an account
sign-up-submit = Create the account
sign-up-known = You have an account?
sign-up-sign-in = Sign in
notice-signed-in = You are signed in as { $username }.
notice-session-ended = You were signed out meanwhile, so nothing was changed. Sign in, and send it again.
notice-signed-out = You are signed out of this browser.

## The account
account-title = Account
account-heading = Your account
account-signed-in = Signed in here since
account-session-ends = This sign-in ends by
account-password = Change the password
account-current = Current password
account-new = New password
account-new-hint = At least 8 characters. Everything that is signed in as you is signed out, except this browser.
account-password-submit = Change the password
account-export = Take your connections with you
account-export-text = Download your connections as a file that only your passphrase opens. Another Tokenry can import it. Everything here stays in service.
account-export-rotating = Of accounts whose access is renewed in a way that only one place can do, a copy goes along that ends by itself within hours. To hand those over for good, ask the operator.
account-export-password = Your password
account-passphrase = A passphrase for the file
account-passphrase-hint = At least 12 characters. Without it nobody can open the file, and we do not keep it.
account-export-submit = Download the file
account-sessions = Sign out everywhere
account-sessions-text = Ends every sign-in and every access token of this account, in all browsers and programs, at once. Your connections stay.
account-sign-out-everywhere = Sign out everywhere
account-activity = Recent activity

## Leaving for a service
leave-title = To { $service }
leave-heading = Going to { $service }
leave-text = There you are asked what may be shared. Afterwards you come back here.
leave-link = Continue to { $service }

## A connect that ended well
connected-title = { $service } is connected
connected-new = Connected
connected-renewed = Renewed
connected-kept = This { $service } account was connected before. Its connection was renewed, and keeps its id.
connected-yours = This { $service } account now belongs to your Tokenry account. Programs you allow can use it; nobody has to see its password.
connected-id = Connection
connected-name = Name
connected-owner = Tokenry account
connected-as = Connected as { $account }
connected-granted = What was granted
connected-missing-hint = You can allow this later: open the connection and choose “Add access”.
connected-until = Must be connected again by
connected-no-end = No end is known; it is kept fresh
connected-look = See the connection
connected-close = You can close this page.

## A grant that came back in another browser
confirm-title = Is this yours?
confirm-badge = One more step
confirm-heading = Is this Tokenry account yours?
confirm-who = The Tokenry account { $username } is about to receive access to the { $service } account { $account }.
confirm-who-unnamed = The Tokenry account { $username } is about to receive access to your { $service } account.
confirm-elsewhere = The link was asked for in another browser, so sign in as { $username } to finish.
confirm-warning = If somebody sent you this link and that is not your account, choose “This is not me”.
confirm-password = Password of { $username }
confirm-finish = Sign in and connect
confirm-abandon = This is not me
abandoned-given-back = Nothing was stored, and the access that the service had granted was given back.
abandoned-given-back-title = Nothing was connected
abandoned-given-back-next = You can close this page.
abandoned-unconfirmed = Nothing was stored. This service has no way to give access back from here, or did not confirm it: to be sure, remove the app in your account's settings there.
abandoned-unconfirmed-title = Nothing was connected
abandoned-unconfirmed-next = You can close this page.

## A connect that did not end well
link-unknown = This link is not one of ours, or it is so old that it is forgotten.
link-unknown-title = This link does not work
link-unknown-next = Ask for a new link and open it within ten minutes.
link-used = This link was used before, and each can be used only once.
link-used-title = This link was used before
link-used-next = If you have just connected the account, all is well: reloading this page does nothing. Otherwise ask for a new link.
link-expired = This link has expired: it was good for ten minutes.
link-expired-title = This link has expired
link-expired-next = Ask for a new link and open it within ten minutes.
wrong-callback = The answer came back at the wrong address, so it was not used.
wrong-callback-title = The answer came back at the wrong address
wrong-callback-next = Ask for a new link. If it happens again, tell the operator of this server: a service may be set up with another service's address.
declined = { $service } was not connected, because the request was declined there.
declined-title = Nothing was connected
declined-next = If you did not mean to decline, ask for a new link and allow the access.
wrong-account = The wrong account: this connection is for { $expected }, and { $got } was connected at { $service }.
wrong-account-unsaid = The wrong account: this connection is for { $expected }, and { $service } did not say whose account was connected.
wrong-account-connected = The wrong account: { $account } at { $service } is connected already, as connection { $connection }.
wrong-account-title = The wrong account
wrong-account-next = Nothing was stored. Ask for a new link, sign in at the service with the account that belongs to this connection, and allow the access. For another account, make a connection of its own.
not-completed = { $service } did not complete the connection: { $cause }
not-completed-error = { $service } answered with an error: { $error }
not-completed-title = The service did not complete the connection
not-completed-next = Ask for a new link and try again. If it happens again, tell the operator of this server what is written here.
provider-away = { $service } is not answering at the moment. What was seen: { $cause }
provider-away-title = The service is away
provider-refused-title = The service did not do it
provider-refused-next = Try again in a while. If it happens again, tell the operator of this server what is written here.
provider-away-next = Wait a few minutes and try again: a new link is made for it. You need not change anything.

## Connect links
link-title = Connect an account
link-heading = Connect an account
link-who = The Tokenry account { $username } gets the access.
link-warning = Is that not you, or did somebody you do not know send you this? Then close this page: nothing has happened yet.
link-not-you = You are signed in here as { $name }, and what you connect on this page goes to { $username }, not to you.
link-search = Find a service
link-search-button = Search
link-nothing = No service here goes by that.
link-connect = Connect { $service }
link-more = { $count ->
    [one] There is one more: search for it.
   *[other] There are { $count } more: search for yours.
}
link-until = This page is good until { $at }.
link-service-title = Connect { $service }
link-such-as = Such as { $example }
link-back-to-services = Other services
link-unopened = The link works in one browser only: the one in which you choose to continue.
link-unopened-title = Continue in this browser?
link-unopened-button = Continue
link-framed = It opens in a window of its own: inside another page, your browser cannot show that it is you.
link-framed-title = Connect an account
link-framed-button = Open in a new window
link-take = The link was opened in another browser first. You are signed in as its owner, so you may go on here; it stops working there.
link-take-title = Go on in this browser?
link-take-button = Go on here
link-confirm = The link was opened in another browser first, and works only there. Here it works for its owner: sign in as { $username } to go on.
link-confirm-title = Is this Tokenry account yours?
link-confirm-button = Sign in as { $username }
link-stranger = The link was opened in another browser first, and works only there. Here it works for its owner: sign out, and sign in as { $username } to go on.
link-stranger-title = Is this Tokenry account yours?
link-stranger-button = Sign out
link-anothers = You are signed in here as somebody else.
link-not-owner = You are signed in here as somebody else, and what you bring along would go to { $username }. If that is what you want, sign out and open the link again.
link-not-owner-title = This goes to another Tokenry account
link-not-owner-button = Sign out
link-finishing = An account is being connected with this link at this moment.
link-finishing-title = One moment
link-finishing-next = Look again in a moment. If nothing comes of it, ask for a new link.
link-ended = Whoever made this link has signed out since, and their links ended with that.
link-ended-title = This link does not work any more
link-ended-next = Ask for a new link and open it within ten minutes.
link-elsewhere = This link was opened in another browser first, and it works only there.
link-elsewhere-title = This link works in another browser
link-elsewhere-next = Go on there, or ask for a new link.
link-other-service = This link is not for that service.
link-other-service-title = This link is for another service
link-other-service-next = Go back and choose one of the services that it shows, or ask for a new link.
link-end-not = Not connected
link-end-as = Connected as { $account }.
link-end-back = Back to { $place }
link-end-close = You can close this window.
link-end-again = Try again
link-end-next = Nothing was stored. Try again, or go back to where you came from.

## Why something was not done
error-signed-out = You are not signed in any more.
error-wrong-login = The username or the password is wrong.
error-no-such-connection = You have no connection with this number.
error-signup-closed = Signing up is closed on this server. Ask its operator for an account.
error-setting = { $field }: this is not as the service needs it. { $problem }
error-credential-refused = { $service } does not take this: { $cause }
error-settings-required = { $service } needs to know more before it can be connected: { $settings }
error-no-device-flow = { $service } has no way to say yes on another device. Connect it in this browser.
error-no-such-device-flow = This was begun so long ago that it is forgotten. Begin again.
error-no-such-link = There is no such link, or it is so old that it is forgotten.
error-no-header = { $service } reads no header: { $what }
error-unknown-service = There is no service called “{ $service }” here.
error-username-taken = The username is taken. Choose another.
error-too-many-attempts = There were too many failed sign-ins. Try again in { $seconds ->
    [one] one second
   *[other] { $seconds } seconds
  }.
error-too-many-connections = You have as many connections as this server keeps for one person ({ $most }). Delete one that you no longer need.
error-busy = The server is checking too many passwords at once. Try again in a moment.
error-audit-behind = The audit log cannot be written at the moment, and nothing is done unrecorded. Try again.
error-reconnect-required = This connection must be connected again: { $reason }
error-handed-over = Another installation keeps this connection fresh: { $reason }
error-not-set-up = { $service } is not set up on this server. Its operator has to register an application there first.
error-not-supported = { $service } cannot be connected by a link: { $why }
error-service-gone = The service { $service } is no longer set up on this server. Its operator has to bring it back.
error-provider-refused = { $service } did not do what it was asked: { $cause }
error-provider-away = { $service } is not answering at the moment. Try again in { $seconds ->
    [one] one second
   *[other] { $seconds } seconds
  }.
error-operator-only = Only an operator of this server may do this.
error-no-such-user = There is no such user.
error-keys = It cannot be done with the keys as they are: { $why }
error-database-away = The database is not available at the moment. Nothing was lost. Try again.
error-internal = Something went wrong on the server. Its log says what.

## What is wrong with a field
problem-empty = { $field }: this must not be empty.
problem-too-long = { $field }: this may have at most { $most } bytes.
problem-nul = { $field }: there is a NUL in it, which no credential has.
problem-not-visible = { $field }: a token has only visible letters, digits and signs, and no spaces.
problem-scopes = { $field }: at most 200 scopes, each of 1 to 255 letters, digits and signs, with spaces between them.
problem-name = { $field }: at most 255 characters, and no line breaks.
problem-username = { $field }: 1 to 64 of the letters a-z and A-Z, digits, dots, dashes and underscores.
problem-reserved = { $field }: nobody can be called that. Choose another.
problem-email = { $field }: this must be an e-mail address, such as ada@example.org.
problem-password = { $field }: at least 8 characters, and at most 1024 bytes.
problem-not-your-password = { $field }: this is not your password.
problem-short-passphrase = { $field }: at least { $least } characters.
problem-nothing-at-all = { $field }: this must not be empty where the password is.
problem-colon = { $field }: this must have no colon in it.
problem-own-client = { $field }: give your own. This server's is there to connect people's accounts.
problem-client-id = { $field }: this must be the client id that the service gave you.
problem-client-secret = { $field }: this must be the client secret that the service gave you.
problem-other-secret = { $field }: the one that is kept belongs to another client id. Give the one that belongs to this id.
problem-no-client = { $field }: there is no use for one here, because people paste what this service gives.
problem-configured = { $field }: the configuration sets it, and wins.
problem-nobody = { $field }: nobody here is called that.
problem-last-operator = { $field }: it cannot be taken from the last operator. Make somebody else one first.
problem-said = { $field }: { $said }

## What could not be done
problem-title = That did not work
problem-next = Go back, change what is wrong, and try again.
problem-here-title = That did not work, and it is our fault
problem-here-next = Nothing was stored. Try again in a moment.
not-found = Either it was never there, or it is not yours to see.
not-found-title = There is nothing here
not-found-next = Check the address, or go on from the front page.
foreign-form = The form was not sent from a page that was shown in this browser, or the page was too old. Nothing was changed.
foreign-form-title = This form is no longer good
foreign-form-next = Go back, load the page again, and send the form anew.
too-large = What was sent is larger than we take. Nothing was changed.
too-large-title = That is too much
too-large-next = Go back and send less.

## Pages of more than one
page-first = Back to the first
page-next = Next page

## What was done
notice-signed-out-everywhere = You are signed out everywhere.
notice-password-changed = Your password is changed. Everything else that was signed in as you is signed out.
notice-connected = It is connected.
notice-renamed = It has its new name.
notice-revoked = The access was taken back. The connection stays, and can be connected again.
notice-undone = It is kept. Nothing was deleted.

## Where a connection stands
standing-ok = In order
standing-expiring = Ends soon
standing-reconnect = Connect again
standing-quarantined = Set aside
standing-handed-over = Handed over
standing-revoked = Taken back

## My connections
connections-title = My connections
connections-new = Connect an account
connections-search = Find by name, account or service
connections-state = State
connections-any-state = Any
connections-find = Find
connections-none-found = No connection fits
connections-show-all = Show all of them
connections-empty-title = Nothing is connected yet
connections-empty = Connect an account once, and the programs you allow get working access from here on. You can take it back at any time.
connections-empty-start = Choose a service
connections-rename-named = Rename { $name }
connections-used = Used
connections-refreshed = Refreshed
connections-reconnect-by = Connect again by
connections-never = not yet
connections-reconnect = Connect again
connections-reconnect-named = Connect again { $name }

## A connection that is being deleted
leaving-text = Being deleted: { $name } · { $at }
leaving-undo = Undo
leaving-undo-named = Undo { $name }
leaving-badge = Being deleted
leaving-when = It is deleted at { $at }.
leaving-meanwhile = Until then nobody gets its access, and you can still keep it.
leaving-keep = Keep it
undo-late = The connection is deleted already, or it was never to be.
undo-late-title = There is nothing to undo
undo-late-next = Connecting the account again makes a new connection.

## A connection
connection-reconnect = Connect again
connection-ends = Its access ends for good at { $at }. Only you can renew it: connect the account again before then. The connection keeps its number.
advice-reconnect = { $service } no longer accepts the access that it gave, and only you can renew it: connect the account again. The connection keeps its name and its number.
advice-quarantined = { $service } refused again and again to renew the access, without saying that it is over. It is tried from time to time, and comes back by itself if { $service } relents. Connecting the account again mends it at once.
advice-revoked = The access was taken back. Connect the account again to bring the connection back.
advice-handed-over = Another installation keeps this access fresh. Connect the account again to keep it here instead.
advice-trouble = { $service } does not do well at the moment. Your connection is not to blame, and you need not do anything.
advice-cause = What was written down: { $cause }
connection-rename = Rename
connection-name = Name
connection-rename-submit = Save the name
connection-facts = About it
connection-service = Service
connection-account = Account
connection-kind = Kind
connection-id = Number for programs
connection-connected = Connected
connection-used = Last used
connection-refreshed = Last refreshed
connection-token-ends = Its token lives until
connection-reconnect-by = Connect again by
connection-access = What it may do
connection-missing = Asked for and not granted
connection-add = Add access
connection-add-text = You are sent to { $service } to allow more. What is allowed now stays.
connection-add-known = What else
connection-add-submit = Ask { $service }
connection-activity = Who used it, and what else happened
connection-end = End it
scopes-other = Other scopes
scopes-other-hint = For experts: names of scopes, with spaces between them.
kind-oauth = Allowed at the service
kind-api-key = API key
kind-basic = User name and password
kind-client = A program's own id and secret
kind-plain = Pasted token
revoke-title = Take the access back and keep the connection
revoke-text = The access is wiped here, and programs get none from then on. Connecting the account again brings the connection back, with its name and its number.
revoke-submit = Take the access back
delete-title = Delete this connection
delete-text = The connection is taken out of service at once, and wiped after half a minute.
delete-is-told = { $service } is told to end the access that it gave.
delete-is-not-told = { $service } has no way to be told from here: to end the access there too, remove the app in your account's settings.
delete-is-pasted = What you had given is wiped here. It stays good at { $service } until you end it there.
delete-submit = Delete it
delete-undo = You have half a minute to undo it.

## What happened
doings-none = Nothing yet.
doings-older = Older
doings-times = { $count } times
doings-not = not done: { $why }
who-you = You
who-server = This server
who-operator = The operator
who-nobody = Somebody who was not signed in
who-other = Somebody else
did-token-read = A program got the token
did-token-list = A program got the list with all tokens
did-call-authorize = A program got a header for one call
did-call-proxy = A program called the service
did-connect-begin = A link for connecting was made
did-connect-park = A connect came back in another browser
did-connect-abandon = A connect was not wanted
did-link-make = A program made a link for you
did-link-open = A link was opened
did-link-take = A link was taken over into another browser
did-link-use = A link was used
did-connect = Connected
did-reconnect = Connected again
did-add = Added with a pasted token
did-import = Added with what you brought
did-rename = Renamed
did-replace = The token was replaced
did-revoke = The access was taken back
did-delete = Deleted
did-delete-later = Delete was asked for
did-delete-undo = Delete was taken back
did-view = Somebody tried to look
did-refresh = The token was refreshed
did-grant-revoke = The service was told that the access is over
did-sign-up = The account was created
did-log-in = Signed in
did-renew-session = A program renewed its access token
did-log-out = Signed out everywhere
did-sign-out = Signed out of a browser
did-change-password = The password was changed
did-export = Connections were downloaded as a sealed file
did-access = A request without a good token
why-not-no-token = there was no access token
why-not-unauthenticated = the access token was not good
why-not-token-expired = the access token had expired
why-not-wrong-login = the name or the password was wrong
why-not-wrong-password = the password was wrong
why-not-forbidden = it is somebody else's
why-not-operator-only = only an operator may
why-not-setup-link-ended = the link was of no use any more
why-not-keys = the keys did not allow it
why-not-signup-closed = signing up is closed
why-not-no-such-connection = there was no such connection
why-not-no-such-device-flow = there was no such connect on a device
why-not-no-such-link = there was no such link
why-not-too-many-attempts = there were too many failed sign-ins
why-not-reconnect-required = it must be connected again
why-not-credential-refused = the service did not take it
why-not-provider-refused = the service refused
why-not-provider-unavailable = the service did not answer
why-not-provider-not-configured = the service is not set up
why-not-provider-error = the service answered with an error
why-not-provider = the service did not do it
why-not-database-unavailable = the database was away
why-not-internal = something went wrong on the server
why-not-unknown-state = the link was not one of ours
why-not-used-state = the link was used before
why-not-expired-state = the link had expired
why-not-wrong-callback = the answer came back at the wrong address
why-not-declined = it was declined at the service
why-not-exchange-failed = the service did not complete it
why-not-wrong-account = it was the wrong account
why-not-connected-elsewhere = the account was connected already
why-not-unknown-link = the link was not one of ours
why-not-expired-link = the link had expired
why-not-used-link = the link was used before
why-not-ended-link = whoever made the link had signed out
why-not-another-browser = the link was opened in another browser
why-not-another-user = it was somebody else who was signed in
why-not-another-service = the link was for another service
why-not-access-denied = it was declined at the service
why-not-given-up = it was tried for days
why-not-queue-full = there was no room to note it
did-user-create = The operator created the account
did-password-set = The operator set the password
did-role-grant = The operator's role was given
did-role-revoke = The operator's role was taken
did-setup-claim = The first operator's link was used
did-sessions-end = An operator ended all sessions
did-operator-export = The operator exported connections
did-operator-import = The operator imported connections
actor-user = somebody
actor-anonymous = not signed in
actor-background = the server
actor-operator = the command line
outcome-ok = ok
outcome-refused = refused
outcome-failed = failed

## The catalogue
catalogue-title = Connect
catalogue-heading = What would you like to connect?
catalogue-search = Find a service
catalogue-category = Category
catalogue-all = All
catalogue-find = Find
catalogue-count = { $count ->
    [one] One service
   *[other] { $count } services
  }
catalogue-connect = Connect
catalogue-connect-named = Connect { $service }
catalogue-none = No service fits
catalogue-none-next = Try another word, or ask the operator: a service can be added with a small file.
catalogue-show-all = Show all services
category-accounting = Accounting
category-ai = AI
category-analytics = Analytics
category-calendar = Calendar
category-cms = Websites
category-communication = Communication
category-crm = Customers
category-data = Data
category-design = Design
category-dev-tools = Developer tools
category-e-commerce = Shops
category-education = Education
category-events = Events
category-finance = Finance
category-fitness = Fitness
category-gaming = Games
category-hr = Human resources
category-identity = Sign-in
category-iot = Devices
category-legal = Legal
category-marketing = Marketing
category-media = Media
category-music = Music
category-payment = Payment
category-productivity = Productivity
category-research = Research
category-social = Social
category-storage = Storage
category-support = Support
category-surveys = Surveys
category-travel = Travel
category-video = Video
way-consent = Ready
way-api-key = With a key
way-basic = With a password
way-client = With an id and a secret
way-closed = Not set up here
way-paste = With a token made there

## One service
connect-service-title = Connect { $service }
service-consent = You are sent to { $service }, which asks what may be shared. You can take it back at any time.
service-paste = A token that you made at { $service } yourself can be kept here and handed to your programs as it is. Nobody can renew it.
service-bring = { $service } works with something you bring along: { $what }.
service-make = Make one there: { $what }
service-explained = How { $service } explains it
service-example = Such as { $example }
service-more = More choices
service-name = A name for it
service-name-hint = Leave it empty, and it is called after the service and the account.
service-scopes = What to ask for
service-continue = Continue to { $service }
service-device = Allow it on another device
service-keep = Keep it
service-sealed = It is sealed before it is stored, and never shown on a page.
field-client-id = Client id
field-client-secret = Client secret
field-token = Token
field-api-key = The key
field-role = The role
closed-title = { $service } is not set up on this server
closed-operator = It takes an application that you register there once. The page of the service shows what to register, and the address to paste.
closed-set-up = Set up { $service }
closed-ask = Ask the operator of this server to set it up. It takes them a few minutes, once for everybody.
closed-paste = I have a token that I made there myself
paste-title = { $service } takes no link from here
paste-next = A token that you made there yourself can still be kept here.
paste-operator = What is configured for it

## Allowing it on another device
device-title = Allow { $service } on another device
device-open = On any device, open
device-type = Type this code there:
device-back = Allow the access, and come back here.
device-done = I have allowed it
device-pending = { $service } has not heard a yes yet. Finish there first, then press the button again.
device-declined-title = { $service } was not connected, because the request was declined there
device-expired-title = The code for { $service } has expired
device-again = Nothing was stored. You can begin again.

## Where a way ends
dead-end-again = Try again
## Operating: the frame, and how the server does
operator-title = Operator
operator-nav = Operator's pages
operator-tab-overview = Overview
operator-tab-services = Services
operator-tab-users = Users
operator-tab-events = Events
operator-tab-keys = Keys
operator-tab-settings = Settings
operator-heading = How it goes
operator-empty-title = Nothing is connected yet
operator-empty = Set a service up, and people can connect their accounts there with one click. It takes two values from the service's developer pages.
operator-empty-services = Set up the first service
operator-connections = Connections
operator-due = Due now
operator-done = Refreshed
operator-failed = Not refreshed
operator-reconnect = To reconnect
operator-attention = Needs a look
operator-attention-none = Nothing needs you.
operator-attention-fault = The service refuses this server's registration since { $since }. It said: { $what }
operator-attention-circuit = Refreshes are held back since { $since }, and tried again from { $until } on. Why: { $what }
operator-attention-paused = The service asked to be left alone until { $until }.
operator-attention-reconnect = { $count ->
    [one] One connection must be connected again by its owner.
   *[other] { $count } connections must be connected again by their owners.
  }
operator-attention-quarantined = { $count ->
    [one] One connection is set aside after failing again and again; it is still tried from time to time.
   *[other] { $count } connections are set aside after failing again and again; they are still tried from time to time.
  }
operator-attention-ending = { $count ->
    [one] One connection ends within two weeks unless its owner connects it again.
   *[other] { $count } connections end within two weeks unless their owners connect them again.
  }
operator-refreshes = Refreshes by service
operator-refreshes-none = Nothing was refreshed, and nothing is due.
operator-counted = Counted since { $at }.
operator-well = { $share } % of them went well.
operator-overdue = ({ $count } overdue)
operator-col-service = Service
operator-chart = { $held ->
    [0] Refreshes were not held back in the last 24 hours.
    [one] Refreshes were held back in one of the last 24 hours.
   *[other] Refreshes were held back in { $held } of the last 24 hours.
  } { $soon ->
    [0] None becomes due within the next hour.
    [one] One becomes due within the next hour.
   *[other] { $soon } become due within the next hour.
  }
operator-chart-about = { $held ->
    [0] Refreshes were not held back in the last 24 hours.
    [one] Refreshes were held back in one of the last 24 hours.
   *[other] Refreshes were held back in { $held } of the last 24 hours.
  } About { $soon } become due within the next hour.
operator-about = about { $count }
operator-legend-done = Done, one bar for each of the last 24 hours
operator-legend-failed = Failed, striped, on top of what was done
operator-legend-held = Held back, a strip below each hour in which the service refused everybody or asked to be left alone
operator-legend-coming = Due in each of the next 24 hours, right of the line that is now; each connection once, at its next refresh
operator-col-hours = Last and next 24 hours
operator-col-done = Done
operator-col-failed = Failed
operator-col-due = Due now
operator-col-coming = Due within 24 hours
operator-col-state = State
operator-state-well = All is well
operator-state-fault = Registration refused
operator-state-circuit = Held back
operator-state-paused = Paused
operator-state-failing = Failing

## Operating: services
services-title = Services
services-heading = Services
services-lead = { $ready ->
    [0] None of { $all } services is set up yet.
   *[other] { $ready } of { $all } services are set up.
  }
services-search = Name or category
services-show = Show
services-show-all = All
services-show-set-up = Set up
services-show-not = Not set up
services-find = Find
services-next = More services
services-none = No service is like that.
operated-state-pasted = People paste a key
operated-state-unsupported = Needs configuration
operated-state-none = Not set up
operated-state-incomplete = Something is missing
operated-state-configured = Ready, by the configuration
operated-state-page = Ready
operated-title = { $service }
operated-fault = The service refuses this server's registration since { $at }. Check the client id and the secret. It said: { $fault }
operated-register = Register with { $service }
operated-register-text = Make an application (an “OAuth app”) on the service's developer pages, and give it this address.
operated-docs = How { $service } wants it done
operated-redirect = Redirect URI
operated-redirect-hint = Exactly as it stands here, to the last character.
operated-redirect-localhost = The service refuses localhost, so 127.0.0.1 stands in its place.
operated-redirect-https = The service takes https only: set public_url to an https address first.
operated-redirect-name = The service gives the address a name of its own: set it as providers.{ $id }.redirect_name.
operated-copy = Copy
operated-copied = Copied
operated-client = What the service gave you
operated-client-text = { $service } shows both after the registration.
operated-client-id = Client id
operated-client-secret = Client secret
operated-secret-set = A secret is set, since { $at }. Leave this empty to keep it. It is sealed and never shown again.
operated-secret-write-only = It is sealed before it is stored, and never shown again.
operated-without-secret = The service gave no secret (a public client)
operated-save = Save
operated-changed = Last changed { $at }
operated-changed-by = Last changed { $at } by { $name }
operated-people = { $count ->
    [one] One person has a connection here. With another client id it has to be connected again.
   *[other] { $count } people have connections here. With another client id they have to be connected again.
  }
operated-missing = Only the configuration can say the rest:
operated-configured = The configuration sets the client of this service, and wins. It can only be looked at here.
operated-configured-kept = A client that was once saved here is passed over.
operated-pasted = There is nothing to set up: people paste what this service gives them.
operated-test = Test
operated-test-text = Looks whether the service's addresses answer, and what it said of late. Nothing is spent.
operated-test-run = Run the test
check-ready = Ready
check-not-ready = Not ready: something is not set up yet
check-away = Set up, and an address does not answer
check-refused = Set up, and the service refuses this server
check-answers = answers ({ $status })
check-not-found = answers that there is no such place ({ $status }); some say so to everything but a POST
check-unreachable = does not answer: { $why }
check-forbidden = is not gone to: { $why }; outbound.allow_private allows services in your own network
operated-configuration = What the configuration says
operated-remove = Remove
operated-remove-text = Nobody can connect this service any more, and what is connected is not refreshed until there is a client again.
operated-remove-run = Remove the client of { $service }
notice-service-saved = Saved. Every server uses it from now on.
notice-service-removed = Removed.

## Operating: users
users-title = Users
users-heading = Users
users-search = The name begins with
users-find = Find
users-none = Nobody is called that.
users-show-all = Show everybody
users-operator = Operator
users-you = You
users-connections = { $count ->
    [one] 1 connection
   *[other] { $count } connections
  }
users-since = since { $at }
users-make-operator = Make an operator
users-make-operator-named = Make an operator of { $name }
users-make-person = Take the operator's role
users-make-person-named = Take the operator's role from { $name }
users-end-sessions = End all sessions
users-end-sessions-named = End all sessions of { $name }
users-next = More users
notice-role-changed = The role is changed. It counts from the next request on.
notice-sessions-ended = All sessions have ended: browsers and programs have to sign in again.

## Operating: events
events-title = Events
events-heading = Events
events-user = User
events-service = Service
events-action = What
events-outcome = How it ended
events-connection = Connection
events-any = Any
events-find = Find
events-none = Nothing like that was written down.
events-none-here = Nothing like that in the newest entries. Older ones may have it.
events-show-all = Show everything
events-older = Older

## Operating: keys
keys-title = Keys
keys-heading = Keys
keys-lead = What people connect is sealed with a data key. A new one takes over at once; what the old one sealed is sealed again, and then the old one can go.
keys-progress = { $share } % is sealed with the current key
keys-data = Data keys
keys-key = Data key { $id }
keys-current = Current
keys-old = Old
keys-retired = Retired
keys-made = Made { $at }
keys-sealed = { $count ->
    [0] nothing is sealed with it
    [one] one value is sealed with it
   *[other] { $count } values are sealed with it
  }
keys-held = { $count ->
    [one] Held by 1 server that runs
   *[other] Held by { $count } servers that run
  }
keys-held-dead = { $count ->
    [one] Held by 1 server that ended without a word
   *[other] Held by { $count } servers that ended without a word
  }
kept-signing-keys = { $count ->
    [one] one signing key
   *[other] { $count } signing keys
  }
kept-secrets-of-the-installation = { $count ->
    [one] one secret of the installation
   *[other] { $count } secrets of the installation
  }
kept-secrets-of-services = { $count ->
    [one] one secret of a service
   *[other] { $count } secrets of services
  }
kept-secrets-of-flows = { $count ->
    [one] the secrets of one connect under way
   *[other] { $count } secrets of connects under way
  }
kept-grants-that-wait-for-their-owner = { $count ->
    [one] one grant that waits for its owner
   *[other] { $count } grants that wait for their owner
  }
kept-access-tokens-to-revoke = { $count ->
    [one] one access token to revoke
   *[other] { $count } access tokens to revoke
  }
kept-refresh-tokens-to-revoke = { $count ->
    [one] one refresh token to revoke
   *[other] { $count } refresh tokens to revoke
  }
kept-refresh-tokens = { $count ->
    [one] one refresh token
   *[other] { $count } refresh tokens
  }
kept-access-tokens = { $count ->
    [one] one access token
   *[other] { $count } access tokens
  }
keys-retire = Retire
keys-retire-named = Retire the data key { $id }
keys-rotate = Make a new data key
keys-rotate-hint = It takes effect within seconds on every server. Nobody notices, and nothing has to be connected again.
keys-signing = Signing keys
keys-signing-text = They sign the access tokens of programs. An old one goes when its last token has expired.
keys-signing-key = Signing key { $id }
keys-signs = Signs
keys-verifies = Verifies until { $at }
notice-key-rotated = There is a new data key. What the others sealed is sealed again now.
notice-key-retired = The key is retired: it opens nothing any more.

## Operating: settings
settings-title = Settings
settings-heading = Settings
settings-lead = What the configuration says. It is changed there, in its file or in the environment, and can only be looked at here.
settings-server = The server
settings-col-key = Setting
settings-col-value = Value
settings-col-from = Set by
settings-nothing = not set
settings-secret = set, and secret
settings-from-default = default
settings-from-file = the file { $path }
settings-from-variable = the variable { $name }
settings-from-flag = the flag { $flag }

## The first operator
setup-title = Become the operator
setup-badge = First start
setup-heading = Run this server
setup-text = You hold the link that its start printed. Whoever uses it first becomes the operator: they set services up and see how the server does. It works once.
setup-as = You are signed in as { $username }.
setup-take = Become the operator
setup-submit = Create the account and become the operator
setup-known = You have an account here?
setup-sign-in = Sign in first
setup-ended = It was used, it is older than a day, or somebody operates this server already.
setup-ended-title = This link is of no use any more
setup-ended-next = If nobody operates the server yet, restart it: the start prints a new link. Otherwise an operator can give you the role, and so can the command “tokenry user role”.
notice-operator = You operate this server now. Set up the first service.
